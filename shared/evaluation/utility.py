"""Utility of training pairs: how well the one network, trained on each kind of pairs, segments held-out patients.

Every kind is trained equally often with the same seeds, steps and batch size, and judged on the same patients,
so rows can be compared patient by patient. Nothing here is private: a figure on patients is a query without a
mechanism. It is for simulations and public data, and does not belong at a hospital.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from shared.errors import CohortError
from shared.evaluation.bootstrap import Interval, paired_difference
from shared.evaluation.dice import patient_dice
from shared.evaluation.segmentation import segment, train
from shared.evaluation.surface_distance import balanced_average_hausdorff, hausdorff_95, patient_distance
from shared.imaging.patches import Patches
from shared.imaging.scan import Role, Scan

NEEDED = (Role.ANGIO, Role.VESSELS, Role.BRAIN)
JUDGING = "held-out patients"

Measures = tuple[float, float, float]  # Dice, 95HD in mm, bAHD in mm
Table = NDArray[np.float64]  # (measures, trainings, patients)
Source = Callable[[int], Patches]  # seed -> pairs (n, 2, i, j[, k]); a fixed data set ignores the seed


class Tissue(StrEnum):
    """Where vessels are judged (Subramaniam et al., 2022 report both)."""

    INTRACRANIAL = "intracranial"  # inside the brain mask
    ALL = "all"  # anywhere in the scan


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
    dice: Mapping[str, float]  # by held-out patient, mean over trainings
    trainings: tuple[float, ...]  # mean Dice over patients of each training
    against_baseline: Interval | None  # paired difference of Dice to the baseline; None for the baseline itself
    against_ceiling: Interval | None  # likewise to the ceiling, if one was named
    hd95_mm: Mapping[str, float]  # 95HD by held-out patient, mean over trainings
    bahd_mm: Mapping[str, float]  # bAHD, likewise

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
    ceiling: str | None = None,
    tissue: Tissue = Tissue.INTRACRANIAL,
    steps: int,
    repeats: int,
    seed: int,
    on_step: Callable[[str], object] = lambda what: None,
) -> list[Row]:
    """Return one row for each kind of training pairs, in the order given.

    Args:
        kinds: sources of pairs by name.
        baseline: the name of the kind that the others' differences are taken to: what costs nothing.
        patients: at least two, each scan with angiogram, vessels and brain; read once, one at a time.
        ceiling: the name of another such kind: what could be had without privacy.
        tissue: where vessels are judged.
        steps: updates of each training.
        repeats: trainings of each kind, with seeds `seed`, `seed + 1`, ...; each asks its source anew.
        seed: of the first training, and of the bootstrap.
        on_step: called with the kind's name after each update and with `JUDGING` after each patient.

    Raises:
        CohortError: a held-out scan lacks one of its three volumes.
        UsageError: fewer than two patients, or pairs that cannot be trained on.
    """
    columns: dict[str, list[list[Measures]]] = {name: [] for name in kinds}
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
            judge = partial(Judge.measures, scans=scans, tissue=tissue)
            found = {name: pool.map(judge, trained) for name, trained in judges.items()}
            for name, measures in found.items():
                columns[name].append(list(measures))
            on_step(JUDGING)
    scores = {name: np.array(column).transpose(2, 1, 0) for name, column in columns.items()}
    return [
        _row(
            name,
            judges[name][0].pairs,
            table,
            patients,
            (scores[baseline], None if ceiling is None else scores[ceiling]),
            seed,
        )
        for name, table in scores.items()
    ]


def _row(
    name: str,
    pairs: int,
    table: Table,
    patients: Sequence[HeldOutPatient],
    yardsticks: tuple[Table, Table | None],
    seed: int,
) -> Row:
    dice, hd95, bahd = (
        dict(zip([patient.name for patient in patients], measure.mean(axis=0).tolist(), strict=True))
        for measure in table
    )
    trainings = tuple(table[0].mean(axis=1).tolist())
    to_baseline, to_ceiling = (_difference(table, yardstick, seed) for yardstick in yardsticks)
    return Row(name, pairs, dice, trainings, to_baseline, to_ceiling, hd95, bahd)


@dataclass(frozen=True)
class Judge:
    """A trained network, with the number and the edges of the patches it was trained on."""

    network: nn.Module
    pairs: int
    window: tuple[int, ...]

    def measures(self, scans: Sequence[Scan], tissue: Tissue) -> Measures:
        """Return Dice (all sessions pooled), 95HD and bAHD in mm (mean over sessions) of one patient."""
        found = [segment(self.network, scan.volumes[Role.ANGIO], self.window) for scan in scans]
        truths = [scan.volumes[Role.VESSELS] > 0 for scan in scans]
        brains = [scan.volumes[Role.BRAIN] > 0 for scan in scans]
        insides = brains if tissue is Tissue.INTRACRANIAL else [np.ones_like(brain) for brain in brains]
        spacings = [scan.spacing for scan in scans]
        return (
            patient_dice(found, truths, insides),
            patient_distance(hausdorff_95, found, truths, insides, spacings),
            patient_distance(balanced_average_hausdorff, found, truths, insides, spacings),
        )


def _judge(source: Source, steps: int, seed: int, on_step: Callable[[], object]) -> Judge:
    pairs = source(seed)
    return Judge(train(pairs, steps, seed, on_step), len(pairs), pairs.shape[2:])


def _difference(table: Table, yardstick: Table | None, seed: int) -> Interval | None:
    if yardstick is None or table is yardstick:
        return None
    return paired_difference(table[0], yardstick[0], np.random.default_rng(seed))


def _check(patient: str, scans: Sequence[Scan]) -> None:
    for scan in scans:
        for role in NEEDED:
            if role not in scan.volumes:
                msg = f"{patient}: no {role.value} file, which Dice inside the brain needs; add it"
                raise CohortError(msg)
