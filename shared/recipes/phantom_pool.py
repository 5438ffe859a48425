"""A pool of public phantoms that stands for any distribution of the simulator's parameters, by weighing.

Phantoms are drawn half from the public simulator and half from a distribution near the one asked about; an
expectation weighs each by how much likelier it is than it was to be drawn (balance heuristic; Veach and Guibas,
1995). Reads no patients.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.imaging.vessel_statistics import STATISTICS_DIM, patch_histograms
from shared.models.simulator_gan import ParameterDistribution
from shared.phantoms.vessels import LOG_HIGH, LOG_LOW, Thetas, simulate
from shared.privacy.randomness import derive_seed
from shared.recipes.base import Progress

PATCHES = 3  # a phantom


class PhantomPool(nn.Module):
    """Parameters and histograms of public phantoms, as buffers, so that they lie in the checkpoint."""

    points: Tensor  # (n, parameters), scaled to [-1, 1]
    proposal: Tensor  # (n,), log density of being drawn
    rounds: Tensor  # it has served
    histograms: Tensor  # (n, PATCHES, STATISTICS_DIM), of patches

    def __init__(self, phantoms: int, parameters: int) -> None:
        """Make room for `phantoms`."""
        super().__init__()
        self.register_buffer("points", torch.zeros(phantoms, parameters))
        self.register_buffer("proposal", torch.zeros(phantoms))
        self.register_buffer("rounds", torch.zeros((), dtype=torch.int64))
        self.register_buffer("histograms", torch.zeros(phantoms, PATCHES, STATISTICS_DIM))

    def renew(
        self,
        distribution: ParameterDistribution,
        edge: int,
        seed: int,
        progress: Progress = lambda *step: None,
        anywhere: float = 0.5,
    ) -> None:
        """Draw the pool anew, the share `anywhere` of it from the public simulator."""
        random = torch.Generator().manual_seed(derive_seed(seed, "points"))
        n, parameters = self.points.shape
        public = round(anywhere * n)
        spread = 2 * torch.rand(public, parameters, generator=random) - 1
        self.points.copy_(torch.cat([spread, distribution.draw(n - public, random).cpu()]))
        with torch.no_grad():
            likely = distribution.log_density(self.points) + math.log1p(-anywhere)
        uniform = _uniform(parameters) + (math.log(anywhere) if anywhere else -math.inf)
        self.proposal.copy_(torch.logaddexp(likely, torch.full_like(likely, uniform)))
        rng = np.random.default_rng(derive_seed(seed, "phantoms"))
        for row, theta in enumerate(thetas_of(self.points)):
            progress("public phantoms", row, n)
            self.histograms[row] = torch.from_numpy(patch_histograms(simulate(theta, PATCHES, edge, rng)))

    def scores(self, features: nn.Module, head: nn.Module) -> Tensor:
        """Return what the critic says of every patch, (n, PATCHES)."""
        scores: Tensor = head(features(self.histograms))
        return scores.squeeze(-1)

    def shares(self, distribution: ParameterDistribution) -> Tensor:
        """Return weights (n,) that sum to 1 and make the pool a sample of the distribution."""
        return torch.softmax(distribution.log_density(self.points) - self.proposal, 0)

    def effective(self, distribution: ParameterDistribution) -> float:
        """Return the effective share of the pool as a sample of the distribution (Kish, 1965), in [0, 1].

        It is 0 before the pool is first drawn.
        """
        if not self.points.any():
            return 0.0
        with torch.no_grad():
            return float(1 / self.shares(distribution).square().sum()) / len(self.points)

    def divergence(self, distribution: ParameterDistribution) -> Tensor:
        """Return the relative entropy of the distribution to the public simulator's, a scalar."""
        excess = distribution.log_density(self.points) - _uniform(self.points.shape[1])
        return (self.shares(distribution) * excess).sum()


def thetas_of(points: Tensor) -> Thetas:
    """Return the simulator's parameters (n, parameters) of scaled points."""
    logs = LOG_LOW + (points.double().cpu().numpy() + 1) / 2 * (LOG_HIGH - LOG_LOW)
    thetas: NDArray[np.float64] = np.exp(logs)
    return thetas


def _uniform(parameters: int) -> float:
    """Return the log density of the public simulator's scaled parameters."""
    return -parameters * math.log(2)
