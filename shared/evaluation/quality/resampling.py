"""Intervals over patients: how much a measure would change with other patients.

Each resample leaves out half of the patients of each population, at random, without drawing anyone twice: the
half-sample, or delete-half jackknife (Shao and Wu, 1989). For a mean it has the variance of the bootstrap. A
bootstrap proper would draw patients twice, and measures built on nearest neighbours would take the second for
a copy. A measure of half as many images has another bias (FID is higher), so the spread of the resamples is
laid around the measure of all images, not around their own mean.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from shared.errors import UsageError
from shared.evaluation.bootstrap import Interval
from shared.evaluation.quality.population import Groups

RESAMPLES = 200
FEWEST = 4  # patients
LEVEL = 0.95


def half_samples(
    *populations: Groups, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Iterator[tuple[Groups, ...]]:
    """Yield, `resamples` times, the numbers of the images of half of each population's patients.

    Args:
        populations: the patient of each image, one array a population.
        rng: draws the patients.
        resamples: how many times.

    Raises:
        UsageError: a population has fewer than four patients, so that halves of it are single patients.
    """
    everyone = [np.unique(patients) for patients in populations]
    if min(map(len, everyone)) < FEWEST:
        msg = (
            f"{min(map(len, everyone))} patients: an interval over halves of them needs {FEWEST} or more of a kind"
        )
        raise UsageError(msg)
    for _ in range(resamples):
        halves = (rng.choice(patients, len(patients) // 2, replace=False) for patients in everyone)
        yield tuple(
            np.flatnonzero(np.isin(patients, half)) for patients, half in zip(populations, halves, strict=True)
        )


def interval(estimate: float, resampled: Sequence[float], low: float = 0.0, high: float = np.inf) -> Interval:
    """Return the estimate with the 95 % spread of its resamples around it, kept within [low, high]."""
    spread = np.asarray(resampled) - np.mean(resampled)
    below, above = np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(
        estimate, float(np.clip(estimate + below, low, high)), float(np.clip(estimate + above, low, high))
    )
