"""Fit the public simulator to statistics that patients released once: pure post-processing, no ε of its own.

A pool of public phantoms teaches an emulator which statistics follow from which parameters; candidates drawn
from the public ranges are weighted by how well, together, they explain the released mean; a Gaussian in log
parameters is fitted to them. A second pool, drawn from that Gaussian, refines the emulator where it matters and
the fit is repeated. Draws mix in a share of the public prior, so that what the statistics are silent or wrong
about keeps its spread. What this cannot reach, choosing among the patches drawn can: see `fitted_simulator`.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from shared.imaging.vessel_statistics import histograms, released_shares, totals, vessel_statistics
from shared.phantoms.emulator import Emulator
from shared.phantoms.fitted_simulator import OF_ONE_PHANTOM, FittedSimulator, draw_near, patch_counts
from shared.phantoms.tilting import nearest, tilt
from shared.phantoms.vessels import LOG_HIGH, LOG_LOW, Thetas, draw_parameters, simulate

Vector = NDArray[np.float64]
Progress = Callable[[float], None]  # told the share done, 0 to 1

PATCHES = 16  # a phantom's patches
CANDIDATES = 12000
TOLERANCE = 0.1  # to which a block of patches kept agrees with the released one; chosen on validation phantoms
ALWAYS_KEPT = 0.01  # share of patches drawn that are likely enough to be kept in any case


def calibrate(
    target: NDArray[np.floating],
    noise_std: float,
    rng: np.random.Generator,
    pool_size: int = 800,
    size: int = 64,
    progress: Progress = lambda share: None,
) -> FittedSimulator:
    """Return the simulator whose patches have mean statistics near `target` (STATISTICS_DIM,).

    Args:
        target: mean of `vessel_statistics` over patients, with its noise.
        noise_std: standard deviation of that noise in one coordinate.
        rng: the result depends on nothing else: not on processes, threads or time.
        pool_size: phantoms in the first pool and in the last, of which patches are kept; the second has half.
        size: edge of a patch in voxels, as the patients' patches had.
        progress: told the share of phantoms that are done.
    """
    half = pool_size // 2
    total = 2 * pool_size + half
    candidates = draw_parameters(CANDIDATES, rng)
    thetas = draw_parameters(pool_size, rng)
    pool = phantom_statistics(thetas, size, rng, lambda done: progress(done / total))
    first = _explain(thetas, pool, candidates, target, noise_std)
    more = draw_near(*first, half, rng)
    near = phantom_statistics(more, size, rng, lambda done: progress((pool_size + done) / total))
    both = np.concatenate([thetas, more]), np.concatenate([pool, near])
    mean, covariance = _explain(*both, candidates, target, noise_std)
    counted = _patches_counted(draw_near(mean, covariance, pool_size, rng), size, rng)
    slope, ceiling = choose(counted, released_shares(target), max(noise_std, TOLERANCE))
    progress(1.0)
    return FittedSimulator(mean, covariance, slope, ceiling)


def choose(counted: NDArray[np.float64], shares: Vector, tolerance: float) -> tuple[Vector, float]:
    """Return which patches to keep, as `FittedSimulator` has it, so that their histograms come near `shares`.

    Args:
        counted: `patch_counts` (n, STATISTICS_DIM) of patches as they are drawn.
        shares: histograms (STATISTICS_DIM,) wanted.
        tolerance: to which they may be missed, in each bin.
    """
    scale = np.maximum(totals(counted).mean(axis=0), np.finfo(float).tiny)
    gap = (counted - shares * totals(counted)) / scale
    slope, _ = nearest(gap, np.zeros(len(gap)), tolerance)
    of_counts = slope / scale
    of_counts = of_counts - totals(shares * of_counts)  # what each count adds to its block's total
    return of_counts, float(np.quantile(counted @ of_counts, 1 - ALWAYS_KEPT))


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


def _patches_counted(thetas: Thetas, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (n, STATISTICS_DIM): the counts of single patches, a few of each phantom."""
    return np.concatenate([patch_counts(simulate(theta, OF_ONE_PHANTOM, size, rng)) for theta in thetas])


def public_centre(patients: int = 200, size: int = 64) -> list[float]:
    """Return the mean histograms of public phantoms that `vessel_statistics` subtracts, to 3 decimals.

    Runs once, when the simulator or the histograms change; the result is kept in
    shared/imaging/vessel_statistics_centre.json.
    """
    rng = np.random.default_rng(20261121)
    thetas = draw_parameters(patients, rng)
    mean = np.mean([histograms(simulate(theta, PATCHES, size, rng)) for theta in thetas], axis=0)
    return [round(float(share), 3) for share in mean]


def _explain(
    thetas: Thetas,
    pool: NDArray[np.float64],
    candidates: Thetas,
    target: NDArray[np.floating],
    noise_std: float,
) -> tuple[Vector, NDArray[np.float64]]:
    """Return mean and covariance of the candidates, weighted by what phantoms say they would look like."""
    emulator = Emulator.fit(_scaled(thetas), pool)
    shares = tilt(emulator.expect(_scaled(candidates)), np.asarray(target, dtype=np.float64), noise_std)
    logs = np.log(candidates)
    mean = shares @ logs
    spread = (logs - mean) * np.sqrt(shares)[:, None]
    return mean, spread.T @ spread


def _scaled(thetas: Thetas) -> NDArray[np.float64]:
    """Return log parameters (n, p) in [-1, 1]."""
    scaled: NDArray[np.float64] = 2 * (np.log(thetas) - LOG_LOW) / (LOG_HIGH - LOG_LOW) - 1
    return scaled
