"""A series file in, a folder of maps out."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.errors import CohortError, UsageError
from shared.files import new_folder
from shared.imaging import nifti
from shared.imaging.perfusion.alignment import align
from shared.imaging.perfusion.artery import Voxel
from shared.imaging.perfusion.baseline import find_baseline
from shared.imaging.perfusion.brain import brain_in, mean_image
from shared.imaging.perfusion.calibration import Calibration
from shared.imaging.perfusion.leakage import LEAST_ML, leak_ml
from shared.imaging.perfusion.maps import UNITS
from shared.imaging.perfusion.mismatch import Mismatch, mismatch
from shared.imaging.perfusion.motion import Motion
from shared.imaging.perfusion.picture import picture
from shared.imaging.perfusion.pipeline import Choices, Given, Study, study_series
from shared.imaging.perfusion.sidecar import DISCLAIMER, Json, describe
from shared.imaging.scan import Role, Timing, Volume
from shared.imaging.series import read_frames, timing_of

SIDECAR, PICTURE = "perfusion.json", "report.png"

Mask = NDArray[np.bool_]  # (i, j, k)
Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much

_AFFINE_TOLERANCE_MM = 1e-2  # headers written by different tools round differently


@dataclass(frozen=True)
class Request:
    """What a person asks to be made of a series."""

    series: Path
    repetition_s: float | None = None  # None: of the sidecar, else of the header
    echo_s: float | None = None  # None: of the sidecar
    brain: Path | None = None  # mask; None: found
    core: Path | None = None  # mask of the infarct core, from diffusion
    white_matter: Path | None = None  # mask; calibrates CBF and CBV
    artery: tuple[Voxel, ...] = ()  # none: found
    align: bool = False  # take the head's movement away first
    choices: Choices = field(default_factory=Choices)
    palette: str = "rainbow"


@dataclass(frozen=True)
class Read:
    """What a request's files hold."""

    voxels: Volume  # (i, j, k, t)
    affine: NDArray[np.float64]
    timing: Timing
    notes: list[str]
    brain: Mask | None
    core: Mask | None
    white_matter: Mask | None
    motion: Motion | None = None  # that was taken away

    @property
    def voxel_ml(self) -> float:
        """Millilitres of a voxel."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000

    @property
    def told_of_motion(self) -> Json:
        """The sidecar's field on movement, null where it was not taken away."""
        return {"alignment": None if self.motion is None else self.motion.describe(self.affine)}


@dataclass(frozen=True)
class Made:
    """What was made, and what a person should know of it."""

    study: Study
    read_out: Mismatch
    notes: list[str]
    motion: Motion | None  # that was taken away


def make_maps(request: Request, out: Path, progress: Progress) -> Made:
    """Write the maps of a series, their sidecar and their picture into the new folder `out`.

    Raises:
        CohortError: the series or a mask cannot be read, or shows no brain, bolus or artery.
        UsageError: `out` exists, or what was given does not fit the series.
    """
    with new_folder(out) as folder:
        read = read_request(request, progress)
        given = Given(read.brain, request.artery, read.white_matter)
        with naming(request.series):
            step = partial(progress, "Deconvolving slices")
            study = study_series(read.voxels, read.timing, request.choices, given, step)
        read_out = mismatch(study.maps[Role.TMAX], study.tissue, read.voxel_ml, read.core)
        notes = read.notes + _notes(study, request.choices, read.voxel_ml)
        made = Made(study, read_out, notes, read.motion)
        told = describe(study, request.choices, read.timing, read_out, made.notes)
        page = picture(study, read.affine, request.choices, read_out, request.palette, read.motion)
        told |= {"series": request.series.name} | read.told_of_motion
        write_all(folder, study.maps, study.brain, read.affine, told, page)
    return made


def read_request(request: Request, progress: Progress) -> Read:
    """Return what a request's files hold, the series aligned if that is asked.

    Raises:
        CohortError: the series or a mask cannot be read, or a series to be aligned shows no brain or bolus.
        UsageError: what was given does not fit the series.
    """
    voxels, affine, header_s = read_frames(request.series)
    timing, notes = timing_of(request.series, header_s, request.repetition_s, request.echo_s)
    brain, core, white = (
        None if path is None else _mask(path, voxels.shape[:3], affine)
        for path in (request.brain, request.core, request.white_matter)
    )
    read = Read(voxels, affine, timing, notes, brain, core, white)
    if not request.align:
        return read
    with naming(request.series):
        return _aligned(read, request.choices.skip, partial(progress, "Aligning frames"))


def _aligned(read: Read, skip: int | None, progress: Callable[[int, int], None]) -> Read:
    """Return what was read, without the head's movement."""
    brain = brain_in(mean_image(read.voxels), read.brain)
    baseline = find_baseline(read.voxels[brain].mean(axis=0, dtype=np.float64), skip)
    edges = np.linalg.norm(read.affine[:3, :3], axis=0)
    voxels, motion = align(read.voxels, edges, brain, baseline, progress)
    return replace(read, voxels=voxels, motion=motion, notes=read.notes + motion.notes)


def write_all(
    folder: Path, maps: Mapping[Role, Volume], brain: Mask, affine: NDArray[np.float64], told: Json, page: bytes
) -> None:
    """Write maps, brain, sidecar and picture."""
    for role, volume in maps.items():
        nifti.write(folder / f"{role.value}.nii.gz", volume, affine, f"{DISCLAIMER} {role.value}, {UNITS[role]}")
    nifti.write(folder / "brain.nii.gz", brain.astype(np.float32), affine, f"{DISCLAIMER} 1 inside the brain")
    (folder / SIDECAR).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / PICTURE).write_bytes(page)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Say of which file an error speaks."""
    try:
        yield
    except (UsageError, CohortError) as err:
        raise type(err)(f"{path}: {err}") from err


def _mask(path: Path, shape: tuple[int, ...], affine: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Read a mask on the grid of the series; it may be empty, as a core can be."""
    values, its_affine = nifti.read(path)
    if values.shape != shape:
        raise UsageError(f"{path}: shape {values.shape} differs from {shape} of the series; resample it onto that")
    if not np.allclose(affine, its_affine, atol=_AFFINE_TOLERANCE_MM):
        raise UsageError(f"{path}: its affine differs from that of the series; register it, or mend its header")
    inside: NDArray[np.bool_] = values > 0.5
    return inside


def _notes(study: Study, choices: Choices, voxel_ml: float) -> list[str]:
    """Return what a person should know before using the maps."""
    notes = []
    if choices.calibration is Calibration.NONE:
        notes.append("CBF and CBV are relative: without calibration their common factor is unknown")
    leaked = leak_ml(study.leaks, voxel_ml)
    if leaked >= LEAST_ML:
        notes.append(
            f"tracer seems to leak in {leaked:.1f} ml (a tumour?): CBF and CBV are wrong there, not corrected"
        )
    if study.baseline.first > 1:
        notes.append(f"the first {study.baseline.first} frames are not at steady state and were left out")
    return notes
