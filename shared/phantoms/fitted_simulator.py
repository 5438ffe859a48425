"""The public simulator as statistics of patients say it should be: which phantoms to draw, which patches to keep.

Parameters alone cannot reach everything: a simulator has its own idea of how many arteries cross a patch and how
wide they are. So patches are drawn and some are turned down, the rarer kinds among patients more often
(rejection; von Neumann, 1951).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from shared.imaging.patches import Patches
from shared.imaging.vessel_statistics import counts
from shared.phantoms.vessels import LOG_HIGH, LOG_LOW, Thetas, draw_parameters, simulate

Vector = NDArray[np.float64]

PRIOR_SHARE = 0.1  # of draws that ignore the statistics
OF_ONE_PHANTOM = 3  # patches drawn, of which some are kept: many phantoms, few patches each, so that cases differ


@dataclass(frozen=True)
class FittedSimulator:
    """A Gaussian over log parameters and, on a patch's counts, the log odds of keeping it; all float64."""

    mean: Vector  # (p,)
    covariance: NDArray[np.float64]  # (p, p)
    slope: Vector  # (STATISTICS_DIM,), of the log weight in a patch's counts
    ceiling: float  # log weight from which on a patch is kept in any case

    def keeping_all(self) -> "FittedSimulator":
        """Return the simulator that turns no patch down."""
        return replace(self, slope=np.zeros_like(self.slope), ceiling=0.0)

    def draw(self, n: int, rng: np.random.Generator) -> Thetas:
        """Return (n, p) parameters within the simulator's ranges, a share of them from the public prior."""
        return draw_near(self.mean, self.covariance, n, rng)

    def patches(self, count: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.float32]]:
        """Yield `count` patches (2, size, size), those of one phantom after another."""
        made = 0
        while made < count:
            drawn = simulate(self.draw(1, rng)[0], OF_ONE_PHANTOM, size, rng)
            kept = drawn[self.keeps(drawn, rng)][: count - made]
            made += len(kept)
            yield from kept

    def keeps(self, patches: Patches, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Return which patches (n, 2, size, size) to keep, (n,), by chance."""
        weight = patch_counts(patches) @ self.slope - self.ceiling
        return rng.random(len(patches)) < np.exp(np.minimum(weight, 0.0))


def draw_near(mean: Vector, covariance: NDArray[np.float64], n: int, rng: np.random.Generator) -> Thetas:
    """Return (n, p) parameters of a Gaussian over their logs, cut off at the ranges; a share from the prior."""
    values, vectors = np.linalg.eigh(covariance)
    shifts = rng.standard_normal((n, len(mean))) @ (vectors * np.sqrt(np.clip(values, 0, None))).T
    fitted = np.exp(np.clip(mean + shifts, LOG_LOW, LOG_HIGH))
    return np.where(rng.random((n, 1)) < PRIOR_SHARE, draw_parameters(n, rng), fitted)


def patch_counts(patches: Patches) -> NDArray[np.float64]:
    """Return (n, STATISTICS_DIM): the counts of each patch by itself."""
    return np.array([counts(patch[None]) for patch in patches])
