"""SSIM between samples (Wang et al., 2004): a generator that draws one image over and over is found at once.

Pairs are of different patients, and of real images alike, whose value says how alike images of this kind are
anyway. Kossen et al. (2022) found more than 0.98 between samples of a collapsed generator.
"""

from dataclasses import dataclass

import numpy as np
import torch
from monai.metrics.regression import SSIMMetric
from numpy.typing import NDArray

from shared.errors import UsageError
from shared.evaluation.quality.population import Population

DATA_RANGE = 2.0  # images are in [-1, 1]; the value depends on it, so it is part of the measure
WINDOW = 11  # voxels of the Gaussian window, standard deviation 1.5, as published
BATCH = 64


@dataclass(frozen=True)
class PairSimilarity:
    """The SSIM of each of some pairs of images, and the patients that each pair is of."""

    ssim: NDArray[np.float64]  # (pairs,)
    patients: NDArray[np.intp]  # (pairs, 2)

    @property
    def mean(self) -> float:
        """Mean over the pairs."""
        return float(self.ssim.mean())

    def among(self, patients: NDArray[np.intp]) -> float:
        """Return the mean over the pairs both of which are of these patients; NaN where there is none."""
        inside = np.isin(self.patients, patients).all(axis=1)
        return float(self.ssim[inside].mean()) if inside.any() else float("nan")


def pair_similarity(population: Population, pairs: int, rng: np.random.Generator) -> PairSimilarity:
    """Return the SSIM of `pairs` random pairs of images (or volumes) of different patients.

    Raises:
        UsageError: an image is smaller than the window along some axis, or all are of one patient.
    """
    if min(population.images.shape[2:]) < WINDOW:
        raise UsageError(
            f"SSIM of images of {population.images.shape[2:]}: {WINDOW} voxels or more along each axis"
        )
    if len(np.unique(population.patients)) < 2:
        raise UsageError("SSIM between samples of one patient: two patients or more are needed")
    chosen = _pairs(population.patients, pairs, rng)
    metric = SSIMMetric(population.images.ndim - 2, data_range=DATA_RANGE, win_size=WINDOW)
    values = [
        metric(*(torch.from_numpy(population.images[side, :1]) for side in chosen[start : start + BATCH].T)).view(
            -1
        )
        for start in range(0, pairs, BATCH)
    ]
    return PairSimilarity(torch.cat(values).double().numpy(), population.patients[chosen])


def _pairs(patients: NDArray[np.intp], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return (count, 2) numbers of images, the two of a pair from different patients."""
    found = np.empty((0, 2), dtype=np.intp)
    while len(found) < count:
        drawn = rng.integers(len(patients), size=(count, 2))
        found = np.concatenate([found, drawn[patients[drawn[:, 0]] != patients[drawn[:, 1]]]])
    return found[:count]
