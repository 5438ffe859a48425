"""The patients an evaluation reads: those a run was trained on, and others that nobody has seen."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from client.cohort import Cohort, find_cohort, is_site
from shared.errors import CohortError, UsageError
from shared.imaging.scan import Role, Scan


@dataclass(frozen=True)
class Patient:
    """One patient of one site; nothing is read before `scans` is called."""

    name: str  # site/patient
    cohort: Cohort
    id: str

    def scans(self) -> list[Scan]:
        """Read every session.

        Raises:
            CohortError: naming the file, what is wrong with it, and the remedy.
        """
        return self.cohort.scans(self.id)

    def fingerprints(self, role: Role) -> list[str]:
        """Return a digest of the voxels of each session."""
        return [hashlib.sha256(scan.volumes[role].tobytes()).hexdigest() for scan in self.scans()]


def find_patients(folder: Path, roles: Sequence[Role]) -> list[Patient]:
    """Return the patients of a site, or of every site in a folder of sites, in a fixed order.

    Raises:
        CohortError: no site, or a site that lacks files.
    """
    if is_site(folder):
        sites = [folder]
    else:
        sites = sorted(path for path in folder.iterdir() if path.is_dir() and is_site(path))
    if not sites:
        raise CohortError(f"{folder}: no site here; expected {folder.name}/<site>/sub-<patient>/anat/...")
    cohorts = [find_cohort(site, roles) for site in sites]
    return [Patient(f"{c.folder.name}/{id_}", c, id_) for c in cohorts for id_ in c.ids]


def training_cohorts(run: Path) -> Path:
    """Return the folder of sites a simulated run was trained on.

    Raises:
        UsageError: `run` does not say; the person must.
    """
    try:
        return Path(json.loads((run / "simulation.json").read_text(encoding="utf-8"))["cohorts"])
    except (OSError, ValueError, KeyError) as err:
        msg = f"{run}: does not say what it was trained on; give the training hospitals with --real COHORTS"
        raise UsageError(msg) from err


def refuse_overlap(
    real: Sequence[Patient], held_out: Sequence[Patient], role: Role, on_patient: Callable[[], object]
) -> None:
    """Read everyone once and make sure that no held-out patient was trained on, whatever it is called.

    Raises:
        UsageError: a held-out patient has the voxels of a training patient, or fewer than two are held out.
        CohortError: a file is damaged.
    """
    if len(held_out) < 2:
        raise UsageError(f"{len(held_out)} held-out patients: two or more are needed for mean, SD and interval")
    seen: dict[str, str] = {}
    for patient in real:
        seen |= dict.fromkeys(patient.fingerprints(role), patient.name)
        on_patient()
    for patient in held_out:
        for twin in filter(None, map(seen.get, patient.fingerprints(role))):
            msg = f"held-out {patient.name} is the training patient {twin}"
            raise UsageError(f"{msg}; hold out others (phantoms: the same --seed and --first 101)")
        on_patient()
