"""Cohorts of a few patients with tiny images: enough for every code path, read and trained on in a moment."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shared.imaging import nifti
from shared.imaging.scan import Role, Timing
from shared.imaging.series import write_series

LESION_MM = np.diag([4.0, 4.0, 4.0, 1.0])
VESSEL_MM = np.diag([0.6, 0.6, 0.8, 1.0])
PERFUSION_MM = np.diag([8.0, 8.0, 24.0, 1.0])
STROKE_MM = np.diag([6.0, 6.0, 20.0, 1.0])

# What a simulated site allows: any noise, any cost up to the cap.
SIMULATION_POLICY = (
    "allow_seeded_noise = true\nallow_non_private = true\nallow_patch_unit = true\nmin_noise_multiplier = 0.0\n"
)


def write_policy(site: Path, extra: str = "") -> None:
    """Give `site` a policy that allows simulations, with `extra` lines of TOML."""
    (site / "policy.toml").write_text(SIMULATION_POLICY + extra)


def file_of(site: Path, patient: str, role: Role, session: str = "") -> Path:
    """Return where a patient's file of one role lies in a BIDS-like site folder."""
    stem = f"{patient}_{session}" if session else patient
    return site / patient / session / "anat" / f"{stem}_{role.value}.nii.gz"


def blob(seed: int, shape: tuple[int, int, int] = (24, 24, 24)) -> NDArray[np.float32]:
    """Return a mask (i, j, k) with one ball of a radius and place drawn with `seed`."""
    rng = np.random.default_rng(seed)
    centre = [rng.uniform(0.3, 0.7) * n for n in shape]
    offsets = np.indices(shape) - np.array(centre)[:, None, None, None]
    return np.asarray((offsets**2).sum(axis=0) <= rng.uniform(3.0, 6.0) ** 2, dtype=np.float32)


def add_lesion_patient(site: Path, patient: str, seed: int, session: str = "") -> Path:
    """Write one lesion mask of 24 x 24 x 24 voxels of 4 mm; return its file."""
    path = file_of(site, patient, Role.LESION, session)
    nifti.write(path, blob(seed), LESION_MM)
    return path


def add_vessel_patient(site: Path, patient: str, seed: int, session: str = "") -> None:
    """Write angiogram, vessels and brain of 40 x 40 x 12 voxels of 0.6 x 0.6 x 0.8 mm."""
    rng = np.random.default_rng(seed)
    shape = (40, 40, 12)
    brain = np.ones(shape, np.float32)
    vessels = np.zeros(shape, np.float32)
    for _ in range(3):
        i, j = rng.integers(5, 35, size=2)
        width = int(rng.integers(2, 5))
        vessels[i : i + width, j : j + width] = 1
    angio = (rng.uniform(40, 60) + 6 * rng.standard_normal(shape) + 90 * vessels).astype(np.float32)
    for role, voxels in {Role.ANGIO: angio, Role.VESSELS: vessels, Role.BRAIN: brain}.items():
        nifti.write(file_of(site, patient, role, session), voxels, VESSEL_MM)


def add_stroke_patient(site: Path, patient: str, seed: int, session: str = "") -> None:
    """Write a diffusion-weighted image, anatomy and lesion of 32 x 28 x 6 voxels of 6 x 6 x 20 mm."""
    rng = np.random.default_rng(seed)
    shape = (32, 28, 6)
    i, j, k = np.indices(shape, dtype=np.float64)
    radius = np.hypot((i - 15.5) / rng.uniform(10, 14), (j - 13.5) / rng.uniform(10, 12)) + (k == 0)
    anatomy = np.select([radius < 0.3, radius < 0.8, radius < 1.0], [4.0, 2.0, 3.0], 0.0)
    anatomy[(i > 15) & (anatomy > 0)] += 39  # the right half's numbers
    place = rng.uniform(-0.4, 0.4, 2) * 12 + (15.5, 13.5)
    lesion = (np.hypot(i - place[0], j - place[1]) < 3) & (k > 2) & (radius < 1)
    bright = np.select([lesion, anatomy % 39 == 4, anatomy > 0], [300.0, 60.0, 120.0], 5.0)
    dwi = bright + 8 * rng.standard_normal(shape)
    for role, voxels in {Role.DWI: dwi, Role.ANATOMY: anatomy, Role.LESION: lesion}.items():
        nifti.write(file_of(site, patient, role, session), voxels.astype(np.float32), STROKE_MM)


def add_perfusion_patient(site: Path, patient: str, seed: int, session: str = "") -> None:
    """Write a series of 24 x 24 x 4 voxels of 8 x 8 x 24 mm with 40 frames of 1.5 s, its maps and the brain."""
    rng = np.random.default_rng(seed)
    i, j, _ = np.indices((24, 24, 4), dtype=np.float64)
    brain = np.hypot(i - 11.5, j - 11.5) < rng.uniform(8, 10)
    cbf = brain * rng.uniform(15, 25) * (1 + (np.hypot(i - 11.5, j - 11.5) > 6))
    mtt = brain * rng.uniform(4, 6) * (1 + (i > 15))
    late = brain * rng.uniform(0, 6) * (i > 15)
    after = np.maximum(1.5 * np.arange(40) - rng.uniform(12, 20) - late[..., None], 0)
    width = 1.0 + 0.2 * mtt[..., None]
    agent = cbf[..., None] / 40 * (after / width) ** 3 * np.exp(3 - after / width) / 27
    series = 200.0 * brain[..., None] * np.exp(-agent) + 5 * np.abs(rng.standard_normal((24, 24, 4, 40)))
    perf = file_of(site, patient, Role.DSC, session)
    write_series(perf, series.astype(np.float32), PERFUSION_MM, Timing(repetition_s=1.5, echo_s=0.03))
    maps = {
        Role.CBF: cbf,
        Role.CBV: cbf * mtt / 60,
        Role.MTT: mtt,
        Role.TMAX: late,
        Role.TTP: late + 3 * width[..., 0],
    }
    for role, voxels in {**maps, Role.BRAIN: brain}.items():
        nifti.write(file_of(site, patient, role, session), (voxels * brain).astype(np.float32), PERFUSION_MM)


# What can be written, by the roles its sessions have; a recipe that needs others needs a line here.
WRITERS: Mapping[frozenset[Role], Callable[..., object]] = {
    frozenset({Role.LESION}): add_lesion_patient,
    frozenset({Role.ANGIO, Role.VESSELS, Role.BRAIN}): add_vessel_patient,
    frozenset({Role.DWI, Role.ANATOMY, Role.LESION}): add_stroke_patient,
    frozenset({Role.DSC, Role.CBF, Role.CBV, Role.MTT, Role.TMAX, Role.TTP, Role.BRAIN}): add_perfusion_patient,
}


def site_for(roles: Sequence[Role], site: Path, patients: int, seed: int = 0, sessions: int = 1) -> Path:
    """Write patients with `roles` and a policy; the first has `sessions` sessions; return the site's folder.

    Raises:
        LookupError: no cohort here has these roles.
    """
    add = next((writer for written, writer in WRITERS.items() if written >= set(roles)), None)
    if add is None:
        raise LookupError(f"tests/cohorts.py writes no cohort with {', '.join(roles)}; add one to WRITERS")
    for number in range(1, patients + 1):
        for session in range(1, (sessions if number == 1 else 1) + 1):
            add(site, f"sub-{number:03d}", seed + 10 * number + session, session=f"ses-{session}")
    write_policy(site)
    return site


def lesion_cohorts(root: Path, sites: Mapping[str, int] | None = None, seed: int = 0) -> Path:
    """Write sites of lesion patients (site -> number of patients), each with a policy; return `root`."""
    number = 0
    for site, patients in (sites or {"east": 3, "west": 3}).items():
        for _ in range(patients):
            number += 1
            add_lesion_patient(root / site, f"sub-{number:03d}", seed + number)
        write_policy(root / site)
    return root


def vessel_cohorts(root: Path, sites: Mapping[str, int] | None = None, seed: int = 0) -> Path:
    """Write sites of vessel patients, each with a policy; return `root`."""
    number = 0
    for site, patients in (sites or {"east": 3, "west": 3}).items():
        for _ in range(patients):
            number += 1
            add_vessel_patient(root / site, f"sub-{number:03d}", seed + number)
        write_policy(root / site)
    return root


def snapshot(*folders: Path, leaving_out: Sequence[str] = ()) -> dict[Path, bytes]:
    """Return every file under `folders` with its bytes, but for names in `leaving_out`."""
    return {
        path: path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in leaving_out
    }
