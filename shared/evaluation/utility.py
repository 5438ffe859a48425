"""Utility of training pairs: Dice on held-out patients of the one network trained on each kind of pairs.

Every kind is trained equally often with the same seeds, steps and batch size, and judged on the same patients,
so rows can be compared patient by patient. Nothing here is private: Dice on patients is a query without a
mechanism. It is for simulations and public data, and does not belong at a hospital.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from shared.errors import CohortError
from shared.evaluation.bootstrap import Interval, Scores, paired_difference
from shared.evaluation.dice import patient_dice
from shared.evaluation.segmentation import segment, train
from shared.imaging.patches import Patches
from shared.imaging.scan import Role, Scan

NEEDED = (Role.ANGIO, Role.VESSELS, Role.BRAIN)
JUDGING = "held-out patients"

Source = Callable[[int], Patches]  # seed -> pairs (n, 2, i, j[, k]); a fixed data set ignores the seed


@dataclass(frozen=True)
class HeldOutPatient:
    """A patient no network was trained on."""

    name: str
    read: Callable[[], Sequence[Scan]]  # one scan a session; called when needed, so that patients are not kept


@dataclass(frozen=True)
class Row:
    """What one kind of training pairs is worth."""

    name: str
    training_pairs: int
    dice: Mapping[str, float]  # by held-out patient, inside the brain, mean over trainings
    trainings: tuple[float, ...]  # mean Dice over patients of each training
    against_baseline: Interval | None  # paired difference to the baseline; None for the baseline itself

    @property
    def mean(self) -> float:
        """Mean Dice over patients."""
        return float(np.mean(list(self.dice.values())))

    @property
    def sd(self) -> float:
        """Sample standard deviation of Dice over patients; 0 with a single patient."""
        return float(np.std(list(self.dice.values()), ddof=1)) if len(self.dice) > 1 else 0.0


def compare(
    kinds: Mapping[str, Source],
    baseline: str,
    patients: Sequence[HeldOutPatient],
    *,
    steps: int,
    repeats: int,
    seed: int,
    on_step: Callable[[str], object] = lambda what: None,
) -> list[Row]:
    """Return one row for each kind of training pairs, in the order given.

    Args:
        kinds: sources of pairs by name.
        baseline: the name of the kind that the others' differences are taken to.
        patients: at least two, each scan with angiogram, vessels and brain; read once, one at a time.
        steps: updates of each training.
        repeats: trainings of each kind, with seeds `seed`, `seed + 1`, ...; each asks its source anew.
        seed: of the first training, and of the bootstrap.
        on_step: called with the kind's name after each update and with `JUDGING` after each patient.

    Raises:
        CohortError: a held-out scan lacks one of its three volumes.
        UsageError: fewer than two patients, or pairs that cannot be trained on.
    """
    columns: dict[str, list[list[float]]] = {name: [] for name in kinds}
    # Small networks train faster side by side, one torch thread each, than one after another on all cores.
    with ThreadPoolExecutor(os.cpu_count(), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        training = {
            name: [pool.submit(_judge, source, steps, seed + r, partial(on_step, name)) for r in range(repeats)]
            for name, source in kinds.items()
        }
        judges = {name: [one.result() for one in several] for name, several in training.items()}
        for patient in patients:
            scans = patient.read()
            _check(patient.name, scans)
            found = {name: pool.map(partial(Judge.dice, scans=scans), trained) for name, trained in judges.items()}
            for name, dice in found.items():
                columns[name].append(list(dice))
            on_step(JUDGING)
    scores = {name: np.array(column).T.reshape(repeats, -1) for name, column in columns.items()}
    return [
        Row(
            name=name,
            training_pairs=judges[name][0].pairs,
            dice=dict(zip([patient.name for patient in patients], table.mean(axis=0).tolist(), strict=True)),
            trainings=tuple(table.mean(axis=1).tolist()),
            against_baseline=_difference(table, scores[baseline], seed),
        )
        for name, table in scores.items()
    ]


@dataclass(frozen=True)
class Judge:
    """A trained network, with the number and the edges of the patches it was trained on."""

    network: nn.Module
    pairs: int
    window: tuple[int, ...]

    def dice(self, scans: Sequence[Scan]) -> float:
        """Return the Dice inside the brain of one patient, all sessions pooled."""
        return patient_dice(
            [segment(self.network, scan.volumes[Role.ANGIO], self.window) for scan in scans],
            [scan.volumes[Role.VESSELS] > 0 for scan in scans],
            [scan.volumes[Role.BRAIN] > 0 for scan in scans],
        )


def _judge(source: Source, steps: int, seed: int, on_step: Callable[[], object]) -> Judge:
    pairs = source(seed)
    return Judge(train(pairs, steps, seed, on_step), len(pairs), pairs.shape[2:])


def _difference(scores: Scores, baseline: Scores, seed: int) -> Interval | None:
    if scores is baseline:
        return None
    return paired_difference(scores, baseline, np.random.default_rng(seed))


def _check(patient: str, scans: Sequence[Scan]) -> None:
    for scan in scans:
        for role in NEEDED:
            if role not in scan.volumes:
                msg = f"{patient}: no {role.value} file, which Dice inside the brain needs; add it"
                raise CohortError(msg)
