"""Percentile bootstrap over patients (Efron, 1979) of the difference between two ways to train."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.errors import UsageError


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its confidence interval, all in the unit of what was compared."""

    estimate: float
    low: float
    high: float


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 10_000,
) -> Interval:
    """Return the mean of first - second over patients and its confidence interval.

    `first[i]` and `second[i]` are of the same patient: patients are resampled, not values, so what makes a
    patient hard for both does not widen the interval. It covers the choice of patients, not that of the seed
    a network was trained with.

    Raises:
        UsageError: the lengths differ, or there are fewer than two patients.
    """
    if len(first) != len(second) or len(first) < 2:
        msg = f"{len(first)} and {len(second)} patients: a paired interval needs two or more, the same in both"
        raise UsageError(msg)
    differences = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    chosen = rng.integers(len(differences), size=(resamples, len(differences)))
    low, high = np.quantile(differences[chosen].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(differences.mean()), float(low), float(high))
