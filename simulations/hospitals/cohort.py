"""Writes hospitals' cohorts of phantom patients as the folders real hospitals would have.

A cohort is a BIDS-like folder: `dataset_description.json`, `participants.tsv`, and for patient a001
`sub-a001/anat/sub-a001_angio.nii.gz` beside its labels; with two sessions, `sub-a001/ses-01/anat/...`. Perfusion
series, their sidecars and maps lie in `perf/` instead.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from shared.errors import UsageError
from shared.imaging.nifti import write
from shared.imaging.scan import Role, Scan
from shared.imaging.series import write_series
from simulations.hospitals.patient import describe
from simulations.hospitals.site import site_profile

_FOLDER = {"tof": "anat", "lesions": "anat", "dwi": "anat", "dsc": "perf"}
_ABOUT = "phantom, no real patient"
KINDS = tuple(_FOLDER)


@dataclass(frozen=True)
class Plan:
    """The cohorts to write; the same plan gives the same bytes."""

    kind: str  # one of `KINDS`
    sites: int  # number of hospitals
    patients: int  # patients at each hospital
    seed: int
    shape: tuple[int, int, int]  # voxels of an image; masks of kind lesions keep their own
    first: int = 1  # number of each hospital's first patient
    first_site: int = 0  # number of the first hospital: 4 for hospitals e, f, ...
    frames: int = 80  # of a perfusion series

    def hospitals(self) -> range:
        """The numbers of the hospitals."""
        return range(self.first_site, self.first_site + self.sites)

    def numbers(self) -> range:
        """The numbers of the patients at each hospital."""
        return range(self.first, self.first + self.patients)


def write_cohorts(plan: Plan, out: Path, jobs: int = 1, done: Callable[[], None] = lambda: None) -> list[Path]:
    """Write every hospital's folder below `out`, in `jobs` processes; return the folders.

    `done` is called after each patient.

    Raises:
        UsageError: `out` holds something already, or the plan asks for hospitals that do not exist.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: not empty; name a new folder, or remove this one")
    folders = {site: out / f"site-{site_profile(site).letter}" for site in plan.hospitals()}
    for site, folder in folders.items():
        _write_lists(plan, site, folder)
    tasks = [(plan, site, number, folder) for site, folder in folders.items() for number in plan.numbers()]
    for _ in _run(tasks, jobs):
        done()
    return list(folders.values())


def patient_seed(plan: Plan, site: int, number: int) -> int:
    """Return the seed of one patient: another for each cohort seed, hospital and number."""
    return int(np.random.SeedSequence([plan.seed, site, number]).generate_state(1, np.uint64)[0])


def _run(tasks: list[tuple[Plan, int, int, Path]], jobs: int) -> Iterator[None]:
    """Write the patients, yielding after each."""
    if jobs == 1 or len(tasks) == 1:
        for task in tasks:
            _write_patient(*task)
            yield
        return
    # Started afresh, not forked: a fork would copy the locks of the progress bar's thread.
    with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(_write_patient, *task) for task in tasks]):
            future.result()
            yield


def _name(site: int, number: int) -> str:
    return f"sub-{site_profile(site).letter}{number:03d}"


def _write_lists(plan: Plan, site: int, folder: Path) -> None:
    """Write what a hospital says of its cohort and of each patient."""
    folder.mkdir(parents=True)
    about = {
        "Name": f"Phantom hospital {site_profile(site).letter}, {plan.kind}",
        "BIDSVersion": "1.10.0",
        "DatasetType": "raw",
        "GeneratedBy": [{"Name": "willis phantoms", "Description": "procedural phantoms, no real patient"}],
    }
    (folder / "dataset_description.json").write_text(json.dumps(about, indent=2) + "\n")
    rows = []
    for number in plan.numbers():
        columns = _described(plan, site, number)
        rows.append("\t".join(columns.values()))
    (folder / "participants.tsv").write_text("\n".join(["\t".join(columns), *rows]) + "\n")


def _described(plan: Plan, site: int, number: int) -> dict[str, str]:
    """Return a patient's line in the hospital's list, by column."""
    seed = patient_seed(plan, site, number)
    patient = describe(seed, site)
    columns = {"participant_id": _name(site, number), "age_band": patient.age_band, "sex": patient.sex}
    if plan.kind == "tof":
        columns["stenosis"] = "yes" if patient.stenosis else "no"
    if plan.kind == "dsc":
        from simulations.hospitals.passage import passage_of

        passage = passage_of(seed, site, plan.frames)
        columns |= {"motion": "yes" if passage.moves else "no", "aif": passage.aif or "good"}
    return columns


def _write_patient(plan: Plan, site: int, number: int, folder: Path) -> None:
    name = _name(site, number)
    sessions = _sessions(plan, site, patient_seed(plan, site, number))
    for index, scan in enumerate(sessions, start=1):
        part = f"ses-{index:02d}" if len(sessions) > 1 else ""
        stem = f"{name}_{part}" if part else name
        for role, voxels in scan.volumes.items():
            path = folder / name / part / _FOLDER[plan.kind] / f"{stem}_{role.value}.nii.gz"
            if role.is_series:
                assert scan.timing is not None
                write_series(path, voxels.astype(np.int16), scan.affine, scan.timing, _ABOUT)
            else:
                write(path, voxels.astype(_stored(role)), scan.affine, _ABOUT)


def _stored(role: Role) -> type[np.generic]:
    """Return the type of number that holds a volume: images and labels are whole, maps are not."""
    if role.is_map:
        return np.float32
    return np.uint8 if role.is_mask else np.int16


def _sessions(plan: Plan, site: int, seed: int) -> list[Scan]:
    # Imported here: each kind brings its own heavy machinery.
    if plan.kind == "tof":
        from simulations.hospitals.tof import tof_patient

        return tof_patient(seed, site, plan.shape)
    if plan.kind == "dwi":
        from simulations.hospitals.dwi import dwi_patient

        return dwi_patient(seed, site, plan.shape)
    if plan.kind == "dsc":
        from simulations.hospitals.dsc import dsc_patient

        return dsc_patient(seed, site, plan.shape, plan.frames)
    from simulations.hospitals.lesions import lesion_patient

    scan = lesion_patient(seed, site)
    return [Scan({Role.LESION: scan.volumes[Role.LESION]}, scan.affine)]
