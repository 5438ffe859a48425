"""How drawn stroke cases look beside patients', as a cell: lesion contrast, intensities, slices to look at.

Simulation only: figures and slices of patients are taken without a mechanism.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from shared.canonical import Json
from shared.evaluation.lesion_contrast import BINS, Kind, contrast, histograms
from shared.imaging.anatomy import STRUCTURES, Tissue
from shared.imaging.intensity import scale_dwi
from shared.imaging.patches import Patches
from shared.imaging.scan import Role, Scan
from shared.recipes.slice_records import ROLES
from simulations.evaluation.cohorts import find_patients
from simulations.studies.cells import Cell
from simulations.studies.samples import keep_samples
from simulations.studies.stroke_drawing import Drawing, drawn

MAPS = "-map"  # ending of the name of kept maps
_SHADES = {
    Tissue.BACKGROUND: -1.0,
    Tissue.FLUID: -0.7,
    Tissue.WHITE: -0.1,
    Tissue.STEM: 0.1,
    Tissue.CORTEX: 0.4,
    Tissue.NUCLEUS: 0.8,
}


class Viewing(BaseModel):
    """Whose cases are looked at: patients of a cohort, or those of a drawing."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    cohort: str = ""
    drawing: str = ""
    drawing_of: Drawing | None = None

    def cell(self, name: str) -> Cell:
        """Return the cell that looks."""
        return Cell(name, self.model_dump(mode="json"))


def view(out: Path, cell: Cell) -> Json:
    """Return the contrast of every case with a lesion, and voxels by intensity of each kind.

    Leaves slices of some to look at, as `keep_samples` does; drawings of the same heads leave the same slices.
    """
    asked = Viewing.model_validate(cell.settings)
    if asked.drawing:
        scans = drawn(out, asked.drawing)
    else:
        scans = [scan for patient in find_patients(out / asked.cohort, ROLES) for scan in patient.scans()]
    images, maps = slices(scans)
    keep_samples(out, cell.name, images)
    keep_samples(out, f"{cell.name}{MAPS}", maps)
    totals = {kind: np.zeros(BINS, np.int64) for kind in Kind}
    for scan in scans:
        for kind, counts in histograms(scan).items():
            totals[kind] += counts
    found: list[Json] = [value for value in map(contrast, scans) if value is not None]
    return {"contrasts": found, "histograms": {kind.value: [*counts.tolist()] for kind, counts in totals.items()}}


def slices(scans: Sequence[Scan]) -> tuple[Patches, Patches]:
    """Return the slice with most lesion of each case in the larger half, and its map as shades of grey.

    Both are (n, 2, i, j) in [-1, 1], the second channel the lesion's label: -1 or +1.
    """
    largest = [scan.volumes[Role.LESION].sum(axis=(0, 1)).max() for scan in scans]
    images, maps = [], []
    for scan, size in zip(scans, largest, strict=True):
        if size > 0 and size >= np.median(largest):
            k = int(scan.volumes[Role.LESION].sum(axis=(0, 1)).argmax())
            label = np.where(scan.volumes[Role.LESION][:, :, k] > 0.5, 1.0, -1.0)
            images.append(np.stack([scale_dwi(scan.volumes[Role.DWI], signed=True)[:, :, k], label]))
            maps.append(np.stack([_shaded(scan.volumes[Role.ANATOMY][:, :, k]), label]))
    return np.asarray(images, np.float32), np.asarray(maps, np.float32)


def _shaded(anatomy: NDArray[np.float32]) -> NDArray[np.float32]:
    shades = np.full(anatomy.shape, -1.0, np.float32)
    for structure in STRUCTURES:
        shades[anatomy == structure.number] = _SHADES[structure.tissue]
    return shades
