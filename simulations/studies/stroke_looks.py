"""How drawn stroke cases look beside patients', as a cell: lesion contrast, intensities, slices to look at.

Simulation only: figures and slices of patients are taken without a mechanism.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from shared.canonical import Json
from shared.evaluation.lesion_contrast import BINS, Kind, contrast, histograms
from shared.imaging.intensity import scale_dwi
from shared.imaging.patches import Patches
from shared.imaging.scan import Role, Scan
from shared.recipes.slice_records import ROLES
from simulations.evaluation.cohorts import find_patients
from simulations.studies.cells import Cell
from simulations.studies.samples import keep_samples
from simulations.studies.stroke_drawing import Drawing, drawn

SHOWN_VOXELS = 60  # lesion in a slice worth looking at, per 64 x 64 pixels


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
    keep_samples(out, cell.name, slices(scans))
    totals = {kind: np.zeros(BINS, np.int64) for kind in Kind}
    for scan in scans:
        for kind, counts in histograms(scan).items():
            totals[kind] += counts
    found = [value for value in map(contrast, scans) if value is not None]
    return {"contrasts": found, "histograms": {kind.value: counts.tolist() for kind, counts in totals.items()}}


def slices(scans: Sequence[Scan]) -> Patches:
    """Return of each case whose lesion can be seen the slice with most of it, (n, 2, i, j) in [-1, 1]."""
    found = []
    for scan in scans:
        lesion = scan.volumes[Role.LESION] > 0.5
        areas = lesion.sum(axis=(0, 1))
        k = int(areas.argmax())
        if areas[k] >= SHOWN_VOXELS * lesion[:, :, k].size / 64**2:
            image = scale_dwi(scan.volumes[Role.DWI], signed=True)[:, :, k]
            found.append(np.stack([image, np.where(lesion[:, :, k], 1.0, -1.0)]))
    return np.asarray(found, np.float32)
