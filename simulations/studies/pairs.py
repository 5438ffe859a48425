"""Training pairs (image, label) by where they come from: patients, the public simulator, or a run.

All are in [-1, 1], n of (2, edge, edge), the same number in every row of a table.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from shared.canonical import Json
from shared.evaluation.published import find_published
from shared.imaging.patches import Patches, patient_patches
from shared.phantoms.vessels import draw_parameters, simulate
from shared.recipes.vessel_records import ROLES
from simulations.evaluation.cohorts import Patient, find_patients
from simulations.studies.runs import FOLDER

PAIRS_PER_PHANTOM = 2  # as in published data sets: more phantoms, fewer patches each


class Origin(BaseModel):
    """Where pairs come from."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["real", "public", "run"]
    where: str = ""  # cohort relative to OUT; name of the cell of a run
    trained: Json = None  # settings of that run's cell, so that another run is another origin
    patients: int | None = None  # real: so many, the first of each site in turn; None: all


def pairs_of(out: Path, origin: Origin, count: int, size: int, seed: int) -> Patches:
    """Return `count` pairs (count, 2, size, size); those of a run are what was drawn from it, whatever the seed.

    Raises:
        UsageError, CohortError: what they come from is missing or damaged.
    """
    if origin.kind == "run":
        pairs = find_published(out / FOLDER / origin.where / "pairs").pairs()
        pairs[:, 0] = 2 * pairs[:, 0] - 1  # stored in [0, 1]
        return pairs
    rng = np.random.default_rng(seed)
    if origin.kind == "public":
        thetas = draw_parameters(-(-count // PAIRS_PER_PHANTOM), rng)
        return np.concatenate([simulate(theta, PAIRS_PER_PHANTOM, size, rng) for theta in thetas])[:count]
    return np.concatenate(by_patient(patients_of(out, origin), count, size, rng))


def patients_of(out: Path, origin: Origin) -> list[Patient]:
    """Return the patients that real pairs come from."""
    everyone = find_patients(out / origin.where, ROLES)
    if origin.patients is None:
        return everyone
    sites: dict[str, list[Patient]] = {}
    for patient in everyone:
        sites.setdefault(patient.cohort.folder.name, []).append(patient)
    longest = max(map(len, sites.values()))
    in_turn = [mine[n] for n in range(longest) for mine in sites.values() if n < len(mine)]
    return in_turn[: origin.patients]


def by_patient(patients: list[Patient], count: int, size: int, rng: np.random.Generator) -> list[Patches]:
    """Return `count` real pairs, one array a patient, as evenly over the patients as can be."""
    shares = [len(part) for part in np.array_split(np.arange(count), len(patients))]
    return [
        patient_patches(patient.scans(), size, share, rng).draw(share, rng)
        for patient, share in zip(patients, shares, strict=True)
    ]
