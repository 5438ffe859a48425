"""The page a person looks at: where the input was taken, its curve, and all five maps in fixed windows."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from numpy.typing import NDArray
from scipy import ndimage

from shared.evaluation.colours import colours
from shared.imaging.orientation import to_ras
from shared.imaging.perfusion.calibration import Calibration
from shared.imaging.perfusion.maps import UNITS
from shared.imaging.perfusion.mismatch import Mismatch
from shared.imaging.perfusion.motion import Motion
from shared.imaging.perfusion.motion_panel import HEIGHT, show_motion
from shared.imaging.perfusion.pipeline import Choices, Study
from shared.imaging.perfusion.sidecar import DISCLAIMER
from shared.imaging.scan import Role, Volume

WINDOWS = {
    Role.CBF: 80.0,
    Role.CBV: 8.0,
    Role.MTT: 16.0,
    Role.TMAX: 12.0,
    Role.TTP: 20.0,
}  # from 0, in the map's unit
RELATIVE = 3.0  # window of CBF and CBV without calibration, of the brain's median
COLOURS = {"rainbow": "jet", "uniform": "viridis"}

_SLICES = 7
_MARK = "#ff2fb9"


def picture(
    study: Study,
    affine: NDArray[np.float64],
    choices: Choices,
    read_out: Mismatch,
    palette: str = "rainbow",
    motion: Motion | None = None,
) -> bytes:
    """Return a PNG of a study; axial slices, the patient's right on the picture's left.

    Args:
        study: what was found.
        affine: of all volumes (4, 4).
        choices: what was chosen.
        read_out: volumes of late tissue.
        palette: one of `COLOURS`.
        motion: that was taken away, if any.
    """
    brain = to_ras(study.brain, affine) > 0
    shown = _shown(brain)
    figure, (upper, *between, lower) = _strips(2.6, *_strip_of(motion), len(UNITS) * 9.5 / shown.ratio, room=0.4)
    if motion is not None:
        show_motion(between[0], motion, affine)
    places, curve, words = upper.subplots(1, 3, width_ratios=(1, 1.6, 1.1))
    _show_places(places, study, affine)
    _show_curve(curve, study)
    words.axis("off")
    words.text(0, 1, _words(study, choices, read_out), va="top", fontsize=8.5, linespacing=1.45)
    relative = choices.calibration is Calibration.NONE
    axes = lower.subplots(len(UNITS), 1)
    for ax, role in zip(axes, UNITS, strict=True):
        _show_map(ax, role, to_ras(study.maps[role], affine), brain, shown, COLOURS[palette], relative=relative)
    _number(axes[-1], shown)
    return _png(figure)


def drawn_picture(
    maps: Mapping[Role, Volume],
    brain: NDArray[np.bool_],
    affine: NDArray[np.float64],
    words: str,
    palette: str = "rainbow",
    motion: Motion | None = None,
) -> bytes:
    """Return a PNG of maps (i, j, k) that a network drew, in the same windows, with what is to be said of them."""
    upright = to_ras(brain, affine) > 0
    shown = _shown(upright)
    figure, (*above, lower) = _strips(*_strip_of(motion), len(maps) * 9.5 / shown.ratio, room=1.2)
    if motion is not None:
        show_motion(above[0], motion, affine)
    axes = lower.subplots(len(maps), 1, squeeze=False)[:, 0]
    for ax, (role, values) in zip(axes, maps.items(), strict=True):
        _show_map(ax, role, to_ras(values, affine), upright, shown, COLOURS[palette], relative=False)
    _number(axes[-1], shown)
    axes[0].set_title(words, fontsize=8.5, loc="left")
    return _png(figure)


def _strip_of(motion: Motion | None) -> tuple[float, ...]:
    """Return the height of the strip on movement, in inches, if there is one."""
    return () if motion is None else (HEIGHT,)


def _strips(*heights: float, room: float) -> tuple[Figure, list[SubFigure]]:
    """Return a page of strips one above the other, in inches, with some room for headings."""
    figure = Figure(figsize=(11.0, room + sum(heights)), layout="constrained")
    return figure, list(figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0])


def _png(figure: Figure) -> bytes:
    figure.suptitle(f"{DISCLAIMER}  Red, or bright, is high on every map: good on CBF, bad on Tmax.", fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None, "Description": DISCLAIMER})
    return buffer.getvalue()


def _show_places(ax: Axes, study: Study, affine: NDArray[np.float64]) -> None:
    """Show the slice that holds most arterial voxels, and those of other slices paler."""
    marks = np.zeros(study.image.shape, np.float32)
    for voxel in study.voxels:
        marks[voxel] += 1
    marks, upright = to_ras(marks, affine), to_ras(study.image, affine)
    k = int(marks.sum(axis=(0, 1)).argmax())
    _plane(ax, upright[::-1, :, k], "gray", float(np.percentile(upright, 99.5)))
    i, j, slices = np.nonzero(marks[::-1])
    edges = [to_rgba(_MARK, 1.0 if here else 0.4) for here in slices == k]
    ax.scatter(i, j, s=14, facecolors="none", edgecolors=edges)
    ax.set_title(f"input: {len(study.voxels)} voxels, {(slices == k).sum()} of them in slice {k}", fontsize=8.5)


def _show_curve(ax: Axes, study: Study) -> None:
    artery, baseline, shades = study.artery, study.baseline, colours()
    times = artery.step_s * np.arange(len(artery.curve))
    ax.plot(times, artery.curve, color=next(shades), marker=".", ms=3, lw=1)
    ax.axvline(artery.onset_s, color=next(shades), lw=1, label=f"onset, {artery.onset_s:.1f} s")
    span = artery.step_s * (baseline.first - 0.5), artery.step_s * (baseline.end - 0.5)
    ax.axvspan(*span, color="#d8dde2", label=f"baseline, frames {baseline.first} to {baseline.end - 1}")
    ax.set(xlabel="time, s", ylabel="ΔR2*, 1/s")
    ax.set_title("arterial input function", fontsize=8.5)
    ax.legend(fontsize=7.5, frameon=False)


def _words(study: Study, choices: Choices, found: Mismatch) -> str:
    lines = [f"Tmax > {seconds} s: {ml:.1f} ml" for seconds, ml in found.late_ml.items()]
    intensity = found.hypoperfusion_intensity_ratio
    lines.append("hypoperfusion intensity ratio: " + ("none" if intensity is None else f"{intensity:.2f}"))
    if found.core_ml is None:
        lines.append("no core mask given: no mismatch")
    else:
        lines.append(f"core (given): {found.core_ml:.1f} ml, mismatch {found.volume_ml:.1f} ml")
        lines.append("mismatch ratio: " + ("none" if found.ratio is None else f"{found.ratio:.1f}"))
        lines.append(f"DEFUSE 3 criteria met: {'yes' if found.defuse_3 else 'no'}")
    how = choices.deconvolution
    lines += ["", f"{how.method.value}, limit {how.cut:g}, {how.operator.value} operator"]
    lines.append(f"smoothing {choices.smoothing_px:g} px; calibration: {choices.calibration.value}")
    lines.append(f"{study.saturated} saturated voxels left out of the input")
    return "\n".join(lines)


def _show_map(
    ax: Axes,
    role: Role,
    values: Volume,
    brain: NDArray[np.bool_],
    shown: "_Shown",
    cmap: str,
    *,
    relative: bool,
) -> None:
    unit, top = UNITS[role], WINDOWS[role]
    name = role.value.upper() if role is not Role.TMAX else "Tmax"
    if role in (Role.CBF, Role.CBV) and relative:
        name, unit, top = f"r{name}", "of the median", RELATIVE
        values = values / max(float(np.median(values[brain])), 1e-9)
    drawn = _plane(ax, shown.side_by_side(np.where(brain, values, np.nan)), cmap, top)
    ax.set_ylabel(name, fontsize=10)
    bar = ax.figure.colorbar(drawn, ax=ax, pad=0.01, extend="max", aspect=12)
    bar.set_label(unit, fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _number(ax: Axes, shown: "_Shown") -> None:
    """Write the slices' numbers below the last map."""
    middles = (np.arange(len(shown.slices)) + 0.5) * shown.width - 1
    ax.set_xticks(middles, [str(k) for k in shown.slices], fontsize=8)
    ax.set_xlabel("slice", fontsize=8)


def _plane(ax: Axes, plane: NDArray[np.floating], cmap: str, top: float) -> AxesImage:
    """Show a plane (i, j), i to the right."""
    drawn = ax.imshow(plane.T, origin="lower", cmap=cmap, vmin=0, vmax=top, interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    ax.set_facecolor("black")
    return drawn


@dataclass(frozen=True)
class _Shown:
    """What part of a volume is shown: the brain's box, and some slices of it."""

    box: tuple[slice, slice]
    slices: list[int]

    @property
    def ratio(self) -> float:
        """Width over height of the slices side by side."""
        return float(len(self.slices) * self.width / (self.box[1].stop - self.box[1].start))

    @property
    def width(self) -> int:
        """Voxels of one slice, and one between it and the next."""
        return int(self.box[0].stop - self.box[0].start + 1)

    def side_by_side(self, volume: Volume) -> Volume:
        """Return a plane of the slices, each turned as a radiologist looks at it: from below."""
        planes = [volume[self.box][::-1, :, k] for k in self.slices]
        return np.concatenate([np.pad(plane, ((0, 1), (0, 0)), constant_values=np.nan) for plane in planes])


def _shown(brain: NDArray[np.bool_]) -> _Shown:
    """Return the brain's box, and slices spread over those that hold a quarter of the largest's brain."""
    areas = brain.sum(axis=(0, 1))
    held = np.flatnonzero(areas >= areas.max() / 4)
    slices = sorted({int(k) for k in np.linspace(held[0], held[-1], min(_SLICES, len(held))).round()})
    (box,) = ndimage.find_objects(brain.any(axis=2).astype(int))
    return _Shown(box, slices)
