"""Utility of training pairs: Dice on held-out patients of the one network trained on each kind of pairs.

Every kind is trained with the same seeds, steps and batch size, and judged on the same patients, so rows can
be compared patient by patient. Nothing here is private: Dice on patients is a query without a mechanism. It
is for simulations and public data, and does not belong at a hospital.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from shared.errors import CohortError
from shared.evaluation.bootstrap import Interval, paired_difference
from shared.evaluation.dice import patient_dice
from shared.evaluation.segmentation import segment, train
from shared.imaging.patches import Patches
from shared.imaging.scan import Role, Scan

NEEDED = (Role.ANGIO, Role.VESSELS, Role.BRAIN)


@dataclass(frozen=True)
class HeldOutPatient:
    """A patient no network was trained on: a name to show in messages, and one scan a session."""

    name: str
    scans: tuple[Scan, ...]


@dataclass(frozen=True)
class Row:
    """What one kind of training pairs is worth."""

    name: str
    training_pairs: int
    dice: tuple[float, ...]  # one a held-out patient, intracranial, mean over the repeats
    against_baseline: Interval | None  # paired difference to the baseline; None for the baseline itself

    @property
    def mean(self) -> float:
        """Mean Dice over patients."""
        return float(np.mean(self.dice))

    @property
    def sd(self) -> float:
        """Sample standard deviation of Dice over patients; 0 with a single patient."""
        return float(np.std(self.dice, ddof=1)) if len(self.dice) > 1 else 0.0


def compare(
    kinds: Mapping[str, Patches],
    baseline: str,
    patients: Sequence[HeldOutPatient],
    *,
    steps: int,
    repeats: int,
    seed: int,
    on_step: Callable[[str], object] = lambda kind: None,
) -> list[Row]:
    """Return one row for each kind of training pairs, in the order given.

    Args:
        kinds: pairs (n, 2, size, size) by name.
        baseline: the name of the kind that the others' differences are taken to.
        patients: at least two, each scan with angiogram, vessels and brain.
        steps: updates of each training.
        repeats: trainings of each kind, with seeds `seed`, `seed + 1`, ...
        seed: of the first training, and of the bootstrap.
        on_step: called with the kind's name after each step, for a progress bar.

    Raises:
        CohortError: a held-out scan lacks one of its three volumes.
        UsageError: fewer than two patients, or pairs that cannot be trained on.
    """
    for patient in patients:
        _check(patient)
    dice = {}
    for name, pairs in kinds.items():
        tick = partial(on_step, name)
        runs = [_dice_of_one(pairs, patients, steps, seed + repeat, tick) for repeat in range(repeats)]
        dice[name] = np.mean(runs, axis=0).tolist()
    return [
        Row(name, len(pairs), tuple(dice[name]), _difference(dice, name, baseline, seed))
        for name, pairs in kinds.items()
    ]


def _difference(dice: Mapping[str, Sequence[float]], name: str, baseline: str, seed: int) -> Interval | None:
    if name == baseline:
        return None
    return paired_difference(dice[name], dice[baseline], np.random.default_rng(seed))


def _dice_of_one(
    pairs: Patches,
    patients: Sequence[HeldOutPatient],
    steps: int,
    seed: int,
    on_step: Callable[[], object],
) -> list[float]:
    """Return each patient's Dice inside the brain for one training."""
    network = train(pairs, steps, seed, on_step)
    return [
        patient_dice(
            [segment(network, scan.volumes[Role.ANGIO], pairs.shape[-1]) for scan in patient.scans],
            [scan.volumes[Role.VESSELS] > 0 for scan in patient.scans],
            [scan.volumes[Role.BRAIN] > 0 for scan in patient.scans],
        )
        for patient in patients
    ]


def _check(patient: HeldOutPatient) -> None:
    for scan in patient.scans:
        for role in NEEDED:
            if role not in scan.volumes:
                msg = f"{patient.name}: no {role.value} file, which Dice inside the brain needs; add it"
                raise CohortError(msg)
