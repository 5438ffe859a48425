"""Fit the public simulator to statistics that patients released once: pure post-processing, no ε of its own.

The released vector is a noised mean over patients, so it constrains the mean of a population of phantoms. Out
of all populations whose mean agrees, up to the noise and to what the simulator cannot express, take the one
nearest to the public pool in relative entropy (exponential tilting; Jaynes, 1957); fit a Gaussian in log
parameters to it; draw a second pool there and repeat. Draws mix in a share of the public prior, so that a
feature on which the statistics are silent keeps its spread.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from shared.imaging.vessel_statistics import vessel_statistics
from shared.phantoms.vessels import LOG_HIGH, LOG_LOW, Thetas, draw_parameters, simulate

Vector = NDArray[np.float64]
Progress = Callable[[float], None]  # told the share done, 0 to 1

PATCHES = 16  # a phantom's patches
PRIOR_SHARE = 0.2  # of draws that ignore the statistics
SMALLEST_SAMPLE = 60.0  # effective phantoms below which weights would fit noise


@dataclass(frozen=True)
class Calibration:
    """A Gaussian over log parameters: `mean` (p,), `covariance` (p, p), as float64."""

    mean: Vector
    covariance: NDArray[np.float64]

    def draw(self, n: int, rng: np.random.Generator) -> Thetas:
        """Return (n, p) parameters within the simulator's ranges, a share of them from the public prior."""
        shifts = rng.standard_normal((n, len(self.mean))) @ _root(self.covariance).T
        fitted = np.exp(np.clip(self.mean + shifts, LOG_LOW, LOG_HIGH))
        public = draw_parameters(n, rng)
        return np.where(rng.random((n, 1)) < PRIOR_SHARE, public, fitted)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return the fields by name, for a checkpoint."""
        return {"mean": self.mean, "covariance": self.covariance}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[np.float64]]) -> "Calibration":
        """Return the calibration that `arrays` was called on."""
        return cls(arrays["mean"], arrays["covariance"])


def calibrate(
    target: NDArray[np.floating],
    noise_std: float,
    rng: np.random.Generator,
    pool_size: int = 800,
    size: int = 64,
    progress: Progress = lambda share: None,
) -> Calibration:
    """Return the calibration whose phantoms have mean statistics near `target` (STATISTICS_DIM,).

    Args:
        target: mean of `vessel_statistics` over patients, with its noise.
        noise_std: standard deviation of that noise in one coordinate.
        rng: the result depends on nothing else: not on processes, threads or time.
        pool_size: phantoms in the first pool; the second has half as many.
        size: edge of a patch in voxels, as the patients' patches had.
        progress: told the share of phantoms that are done.
    """
    total = pool_size + pool_size // 2
    thetas = draw_parameters(pool_size, rng)
    pool = phantom_statistics(thetas, size, rng, lambda done: progress(done / total))
    first = _fit(np.log(thetas), weights(pool, target, noise_std))
    thetas = first.draw(pool_size // 2, rng)
    pool = phantom_statistics(thetas, size, rng, lambda done: progress((pool_size + done) / total))
    return _fit(np.log(thetas), weights(pool, target, noise_std))


def phantom_statistics(
    thetas: Thetas, size: int, rng: np.random.Generator, progress: Progress = lambda done: None
) -> NDArray[np.float64]:
    """Return (n, STATISTICS_DIM): statistics of one phantom for each row of parameters."""

    def one(task: tuple[Vector, np.random.Generator]) -> NDArray[np.float32]:
        return vessel_statistics(simulate(task[0], PATCHES, size, task[1]))

    rows = []
    with ThreadPoolExecutor(max_workers=2) as threads:
        for done, row in enumerate(threads.map(one, zip(thetas, rng.spawn(len(thetas)), strict=True))):
            rows.append(row)
            progress(done + 1.0)
    return np.array(rows, dtype=np.float64)


def weights(pool: NDArray[np.float64], target: NDArray[np.floating], noise_std: float) -> Vector:
    """Return weights (n,) that sum to 1 and tilt the pool (n, d) towards the target (d,).

    The tolerance starts at the noise and grows until the effective sample is not too small: what the pool can
    reach only with a handful of phantoms is misfit and not information.
    """
    tolerance = max(noise_std, 1e-3)
    while True:
        tilted = _tilt(pool, target, tolerance)
        if 1.0 / np.sum(tilted**2) >= min(SMALLEST_SAMPLE, 0.5 * len(pool)):
            return tilted
        tolerance *= 1.3


def _tilt(pool: NDArray[np.float64], target: NDArray[np.floating], tolerance: float) -> Vector:
    """Minimise relative entropy + |mean - target|² / (2 tolerance²), by its concave dual in `slope` (d,)."""
    gap = pool - target

    def dual(slope: Vector) -> tuple[float, Vector]:
        score = gap @ slope
        level = logsumexp(score)
        share = np.exp(score - level)
        return float(level + 0.5 * tolerance**2 * slope @ slope), gap.T @ share + tolerance**2 * slope

    best = minimize(dual, np.zeros(pool.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    score = gap @ best.x
    share: Vector = np.exp(score - logsumexp(score))
    return share


def _fit(logs: NDArray[np.float64], share: Vector) -> Calibration:
    mean = share @ logs
    spread = (logs - mean) * np.sqrt(share)[:, None]
    return Calibration(mean, spread.T @ spread)


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(covariance)
    root: NDArray[np.float64] = vectors * np.sqrt(np.clip(values, 0, None))
    return root
