"""Cohorts whose maps are a teacher's, as a cell: block-circulant deconvolution in place of a phantom's truth.

A network trained on them repeats Kossen et al. (2023), whose maps came from a clinical tool. CBF and CBV are put
to scale by the truth's median, which a clinic does not have: by how much they are off without calibration says
nothing of the method. Patients in whom no artery or no bolus is found are left out, as a clinic would.
"""

import csv
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from client.cohort import COLUMNS, TABLE, Cohort, find_cohort
from shared.canonical import Json
from shared.errors import CohortError
from shared.imaging import nifti
from shared.imaging.perfusion.maps import UNITS
from shared.imaging.perfusion.pipeline import Choices, Given, study_series
from shared.imaging.scan import Role, Scan, Volume
from shared.recipes.perfusion_records import ROLES
from simulations.federation import find_sites
from simulations.studies.cells import Cell

TAUGHT = "taught"  # folder


class Teaching(BaseModel):
    """Everything that decides a teacher's maps."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    cohort: str  # folder of the sites, relative to OUT

    def cell(self, name: str) -> Cell:
        """Return the cell that writes them."""
        return Cell(name, self.model_dump(mode="json"))


def teach(out: Path, cell: Cell) -> Json:
    """Write the sites below `OUT/taught/<cell>`, with the patients' series and the teacher's maps.

    Returns the names of the sessions (site/patient/number) in which the teacher failed, each with its reason.
    """
    asked = Teaching.model_validate(cell.settings)
    into = out / TAUGHT / cell.name
    shutil.rmtree(into, ignore_errors=True)  # interrupted, or of other settings
    failed: dict[str, Json] = {}
    for site in find_sites(out / asked.cohort):
        failed |= _teach_site(find_cohort(site, ROLES), into / site.name)
    return {"failed": failed}


def deconvolved(scan: Scan, choices: Choices) -> dict[Role, Volume]:
    """Return a teacher's maps of a phantom, CBF and CBV to the scale of its truth.

    Raises:
        CohortError: no artery or no bolus is found.
    """
    assert scan.timing is not None
    given = Given(brain=scan.volumes[Role.BRAIN] > 0)
    maps = study_series(scan.volumes[Role.DSC], scan.timing, choices, given).maps
    inside = tissue(scan)
    scale = np.median(scan.volumes[Role.CBF][inside]) / max(float(np.median(maps[Role.CBF][inside])), 1e-9)
    return maps | {role: maps[role] * np.float32(scale) for role in (Role.CBF, Role.CBV)}


def tissue(scan: Scan) -> NDArray[np.bool_]:
    """Return where a phantom's maps say something: fluid has no perfusion."""
    return (scan.volumes[Role.BRAIN] > 0) & (scan.volumes[Role.CBF] > 0)


def _teach_site(cohort: Cohort, into: Path) -> dict[str, Json]:
    into.mkdir(parents=True)
    failed: dict[str, Json] = {}
    with (into / TABLE).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        columns = {column: role for column, role in COLUMNS.items() if role in ROLES}
        table.writerow(["patient", "session", *columns])
        for patient in cohort.ids:
            for number, session in enumerate(cohort.patients[patient], start=1):
                files = dict(session)
                try:
                    files |= _maps(cohort, patient, number, into)
                except CohortError as err:
                    failed[f"{cohort.folder.name}/{patient}/{number}"] = str(err)
                    continue
                table.writerow([patient, number, *(files[role].resolve() for role in columns.values())])
    return failed


def _maps(cohort: Cohort, patient: str, number: int, into: Path) -> dict[Role, Path]:
    """Write the teacher's maps of one session, and return their files.

    Raises:
        CohortError: no artery or no bolus is found.
    """
    scan = cohort.scans(patient)[number - 1]
    maps = deconvolved(scan, Choices())
    files = {role: into / f"{patient}_{number}_{role.value}.nii.gz" for role in UNITS}
    for role, path in files.items():
        nifti.write(path, maps[role], scan.affine, "teacher's map of a phantom")
    return files
