"""Training pairs (image, label) by where they come from: patients, the public simulator, or a run.

All are in [-1, 1], n of (2, i, j) or of (2, i, j, k), the same number in every row of a table.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from shared.evaluation.published import find_published
from shared.imaging.patches import Patches, shares
from shared.imaging.patches_3d import patient_volumes
from shared.phantoms.vessels import draw_parameters, simulate_3d
from shared.recipes.vessel_records import ROLES
from simulations.evaluation.cohorts import Patient, find_patients
from simulations.evaluation.vessels import PAIRS_PER_PHANTOM, public_patches, real_patches
from simulations.studies.runs import FOLDER, Training


class Origin(BaseModel):
    """Where pairs come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["real", "public", "run"]
    where: str = ""  # cohort relative to OUT; name of the cell of a run
    trained: Training | None = None  # that run, so that another run is another origin


def pairs_of(out: Path, origin: Origin, count: int, size: tuple[int, ...], seed: int) -> Patches:
    """Return `count` pairs (count, 2, *size); those of a run are what was drawn from it, whatever the seed.

    Raises:
        UsageError, CohortError: what they come from is missing or damaged.
    """
    if origin.kind == "run":
        return _drawn(out / FOLDER / origin.where / "pairs", size)
    rng = np.random.default_rng(seed)
    if origin.kind == "public":
        return _public(count, size, rng)
    return np.concatenate(by_patient(find_patients(out / origin.where, ROLES), count, size, rng))


def by_patient(
    patients: Sequence[Patient], count: int, size: tuple[int, ...], rng: np.random.Generator
) -> list[Patches]:
    """Return `count` real pairs, one array a patient, as evenly over the patients as can be."""
    if len(size) == 2:
        return real_patches(patients, count, size[0], rng)
    edges = (size[0], size[1], size[2])
    return [
        patient_volumes(patient.scans(), edges, share, rng).draw(share, rng)
        for patient, share in zip(patients, shares(count, len(patients)), strict=True)
    ]


def _public(count: int, size: tuple[int, ...], rng: np.random.Generator) -> Patches:
    if len(size) == 2:
        return np.concatenate(public_patches(count, size[0], rng))
    edges = (size[0], size[1], size[2])
    thetas = draw_parameters(-(-count // PAIRS_PER_PHANTOM), rng)
    return np.concatenate([simulate_3d(theta, PAIRS_PER_PHANTOM, edges, rng) for theta in thetas])[:count]


def _drawn(folder: Path, size: tuple[int, ...]) -> Patches:
    slices = find_published(folder).pairs()
    slices[:, 0] = 2 * slices[:, 0] - 1  # stored in [0, 1]
    if len(size) == 2:
        return slices
    volumes = slices.reshape(-1, size[2], *slices.shape[1:])
    return np.ascontiguousarray(np.moveaxis(volumes, 1, -1))
