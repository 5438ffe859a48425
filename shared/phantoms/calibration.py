"""Fit the public simulator to statistics that patients released once: pure post-processing, no ε of its own.

A pool of public phantoms teaches an emulator which statistics follow from which parameters; candidates drawn
from the public ranges are weighted by how well, together, they explain the released mean; a Gaussian in log
parameters is fitted to them. A second pool, drawn from that Gaussian, refines the emulator where it matters and
the fit is repeated. Draws mix in a share of the public prior, so that what the statistics are silent or wrong
about keeps its spread.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.imaging.vessel_statistics import histograms, vessel_statistics
from shared.phantoms.emulator import Emulator
from shared.phantoms.tilting import tilt
from shared.phantoms.vessels import LOG_HIGH, LOG_LOW, Thetas, draw_parameters, simulate

Vector = NDArray[np.float64]
Progress = Callable[[float], None]  # told the share done, 0 to 1

PATCHES = 16  # a phantom's patches
PRIOR_SHARE = 0.1  # of draws that ignore the statistics
CANDIDATES = 12000


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
    candidates = draw_parameters(CANDIDATES, rng)
    thetas = draw_parameters(pool_size, rng)
    pool = phantom_statistics(thetas, size, rng, lambda done: progress(done / total))
    first = _explain(thetas, pool, candidates, target, noise_std)
    more = first.draw(pool_size // 2, rng)
    near = phantom_statistics(more, size, rng, lambda done: progress((pool_size + done) / total))
    return _explain(np.concatenate([thetas, more]), np.concatenate([pool, near]), candidates, target, noise_std)


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
) -> Calibration:
    """Return the Gaussian fitted to the candidates, weighted by what phantoms say they would look like."""
    emulator = Emulator.fit(_scaled(thetas), pool)
    shares = tilt(emulator.expect(_scaled(candidates)), np.asarray(target, dtype=np.float64), noise_std)
    logs = np.log(candidates)
    mean = shares @ logs
    spread = (logs - mean) * np.sqrt(shares)[:, None]
    return Calibration(mean, spread.T @ spread)


def _scaled(thetas: Thetas) -> NDArray[np.float64]:
    """Return log parameters (n, p) in [-1, 1]."""
    scaled: NDArray[np.float64] = 2 * (np.log(thetas) - LOG_LOW) / (LOG_HIGH - LOG_LOW) - 1
    return scaled


def _root(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    values, vectors = np.linalg.eigh(covariance)
    root: NDArray[np.float64] = vectors * np.sqrt(np.clip(values, 0, None))
    return root
