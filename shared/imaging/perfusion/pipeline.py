"""From a series to its maps: every step of the classical way, with all that was chosen on it."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shared.imaging.perfusion.artery import Voxel, find_artery, find_vein, given_artery, saturated
from shared.imaging.perfusion.baseline import Baseline, find_baseline
from shared.imaging.perfusion.blood import BLOOD, Blood
from shared.imaging.perfusion.brain import brain_in, mean_image
from shared.imaging.perfusion.calibration import Calibration, vein_scale, white_matter_scale
from shared.imaging.perfusion.deconvolution import Deconvolution
from shared.imaging.perfusion.leakage import leaking
from shared.imaging.perfusion.maps import UNITS, Artery, perfusion
from shared.imaging.perfusion.relaxation import noise_of, relaxation
from shared.imaging.scan import Role, Timing, Volume

Mask = NDArray[np.bool_]  # (i, j, k)

_SEEN = 4.5  # deviations of the noise that a curve's peak must stand out by to be a bolus


@dataclass(frozen=True)
class Choices:
    """What a person may choose; the defaults are those of the documentation."""

    deconvolution: Deconvolution = field(default_factory=Deconvolution)
    smoothing_px: float = 1.0  # deviation of the Gaussian within a slice, pixels
    skip: int | None = None  # frames left out at the start; None: found
    blood: Blood = BLOOD
    calibration: Calibration = Calibration.NONE
    kappa: float = 1.0  # for `Calibration.KAPPA`


@dataclass(frozen=True)
class Given:
    """What a person knows of this patient, and need not be found."""

    brain: Mask | None = None
    artery: Sequence[Voxel] = ()
    white_matter: Mask | None = None  # for `Calibration.WHITE_MATTER`


@dataclass(frozen=True)
class Study:
    """Maps of a patient, 0 outside the brain, and how they came about."""

    maps: dict[Role, Volume]
    image: Volume  # mean of the frames after the first
    brain: Mask
    tissue: Mask  # voxels of the brain in which a bolus is seen
    leaks: Mask  # voxels in which the tracer seems to leak
    baseline: Baseline
    artery: Artery
    voxels: list[Voxel]  # of the artery
    scale: float  # of CBF and CBV, by calibration
    noise: float  # deviation, in the signal's unit, before smoothing
    saturated: int  # voxels


def study_series(
    voxels: NDArray[np.floating],
    timing: Timing,
    choices: Choices | None = None,
    given: Given | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Study:
    """Return the maps of a series (i, j, k, t) of raw signal.

    Slices are worked on side by side, one at a time on each core, which bounds memory.

    Args:
        voxels: the signal in arbitrary units; a factor on all of it changes nothing.
        timing: of its frames.
        choices: of method and constants.
        given: what need not be found.
        progress: called with slices done and all slices.

    Raises:
        CohortError: no brain, no bolus, or no artery.
        UsageError: a given voxel or mask does not fit.
    """
    choices, given = choices or Choices(), given or Given()
    image = mean_image(voxels)
    brain = brain_in(image, given.brain)
    signal = voxels[brain]
    baseline = find_baseline(signal.mean(axis=0, dtype=np.float64), choices.skip)
    noise = noise_of(signal, baseline)
    clear = ~saturated(signal, baseline, noise)
    rate = relaxation(signal, baseline, timing.echo_s)
    rows = given_artery(given.artery, brain, rate, clear) if given.artery else find_artery(rate, clear)
    artery = Artery(rate[rows].mean(axis=0, dtype=np.float64), timing.repetition_s)
    finished = _slices(voxels, brain, _Slice(choices, timing, baseline, artery), progress)
    maps = {role: finished[role].astype(np.float32) for role in UNITS}
    scale = _scale(
        choices, given, maps, lambda: vein_scale(artery.curve, rate[find_vein(rate, clear)].mean(axis=0))
    )
    for role in (Role.CBF, Role.CBV):
        maps[role] *= np.float32(scale)
    return Study(
        maps=maps,
        image=image,
        brain=brain,
        tissue=finished[_TISSUE].astype(bool),
        leaks=finished[_LEAKS].astype(bool),
        baseline=baseline,
        artery=artery,
        voxels=[(int(i), int(j), int(k)) for i, j, k in np.argwhere(brain)[rows]],
        scale=scale,
        noise=noise,
        saturated=int((~clear).sum()),
    )


_TISSUE, _LEAKS = "tissue", "leaks"


@dataclass(frozen=True)
class _Slice:
    """How the curves of one slice become values."""

    choices: Choices
    timing: Timing
    baseline: Baseline
    artery: Artery

    def __call__(self, signal: NDArray[np.floating], brain: Mask) -> dict[str, NDArray[np.generic]]:
        """Return every value of the brain's voxels in a slice (i, j, t)."""
        edge = self.choices.smoothing_px
        curves = ndimage.gaussian_filter(signal, (edge, edge, 0))[brain] if edge else signal[brain]
        rate = relaxation(curves, self.baseline, self.timing.echo_s)
        found = perfusion(rate, self.artery, self.choices.deconvolution, self.choices.blood)
        level = curves[:, self.baseline.frames].mean(axis=1)
        seen = level * self.timing.echo_s * rate.max(axis=1, initial=0) > _SEEN * noise_of(curves, self.baseline)
        return {_TISSUE: seen, _LEAKS: leaking(rate), **{role.value: values for role, values in found.items()}}


def _slices(
    voxels: NDArray[np.floating], brain: Mask, work: _Slice, progress: Callable[[int, int], None]
) -> dict[str, NDArray[np.float32]]:
    """Return volumes (i, j, k) of what `work` finds in each slice."""
    out = {name: np.zeros(brain.shape, np.float32) for name in (*UNITS, _TISSUE, _LEAKS)}
    busy = [k for k in range(brain.shape[2]) if brain[..., k].any()]
    with ThreadPoolExecutor(min(os.cpu_count() or 1, len(busy))) as pool:
        results = pool.map(lambda k: work(voxels[:, :, k], brain[..., k]), busy)
        for done, (k, found) in enumerate(zip(busy, results, strict=True), 1):
            for name, values in found.items():
                out[name][brain[..., k], k] = values
            progress(done, len(busy))
    return out


def _scale(choices: Choices, given: Given, maps: dict[Role, Volume], of_vein: Callable[[], float]) -> float:
    match choices.calibration:
        case Calibration.KAPPA:
            return choices.kappa
        case Calibration.VEIN:
            return of_vein()
        case Calibration.WHITE_MATTER:
            where = np.zeros(0, bool) if given.white_matter is None else given.white_matter & (maps[Role.CBF] > 0)
            return white_matter_scale(maps[Role.CBF][where])
        case Calibration.NONE:
            return 1.0
