"""Weights that tilt a public population towards statistics seen with noise (Jaynes, 1957).

The released vector is a mean over patients, so it constrains the mean of a population. Out of all populations
whose mean agrees up to a tolerance, the weights give the one nearest to a base population in relative entropy.
The base prefers phantoms like the average patient: the patients of a federation resemble each other more than
the public pool does, which spans every scanner.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LIKENESS = 0.5  # spread of patients around their average over the spread of the public pool
SMALLEST_SHARE = 0.008  # effective share of the population below which weights would fit noise
SLACK = 1.3  # growth of the tolerance from trial to trial
FINEST = 0.02  # tolerance: nearer than this no simulator comes to patients, and the search is slow


def tilt(population: Matrix, target: Vector, noise_std: float, likeness: float = LIKENESS) -> Vector:
    """Return weights (n,) that sum to 1 for a population (n, d) of statistics, given the target (d,).

    The tolerance starts at the noise, and it and the likeness grow until the effective population is not too
    small: what can be reached only with a handful of phantoms is misfit of the simulator and not information.
    """
    tolerance, slope = max(noise_std, FINEST), None
    while True:
        slope, shares = nearest(population - target, _base(population, target, likeness), tolerance, slope)
        if effective(shares) >= SMALLEST_SHARE * len(population):
            return shares
        tolerance, likeness = tolerance * SLACK, likeness * SLACK


def effective(shares: Vector) -> float:
    """Return the effective number (Kish, 1965) of what is weighted by `shares` (n,)."""
    return float(1.0 / np.sum(shares**2))


def _base(population: Matrix, target: Vector, likeness: float) -> Vector:
    """Return log weights (n,) of a Gaussian in distance to the target, as wide as `likeness` says."""
    spread = ((population - population.mean(axis=0)) ** 2).sum(axis=1).mean()
    distance = ((population - target) ** 2).sum(axis=1)
    excess = distance - distance.min()  # noise and misfit shift all distances alike
    score: Vector = -0.5 * excess / (likeness**2 * spread)
    return score


def nearest(gap: Matrix, base: Vector, tolerance: float, start: Vector | None = None) -> tuple[Vector, Vector]:
    """Return the slope (d,) and the weights (n,), proportional to exp(base + gap @ slope), that sum to 1.

    They minimise relative entropy to `base` (n,), in logs, plus |mean gap|² / (2 tolerance²): the slope is
    the solution of the dual, which is convex: a `start` near it saves time and changes nothing else.
    """

    def dual(slope: Vector) -> tuple[float, Vector]:
        score = base + gap @ slope
        level = logsumexp(score)
        shares = np.exp(score - level)
        return float(level + 0.5 * tolerance**2 * slope @ slope), gap.T @ shares + tolerance**2 * slope

    best = minimize(
        dual,
        np.zeros(gap.shape[1]) if start is None else start,
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 300},
    )
    score = base + gap @ best.x
    slope: Vector = best.x
    shares: Vector = np.exp(score - logsumexp(score))
    return slope, shares
