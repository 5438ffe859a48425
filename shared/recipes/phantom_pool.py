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

from shared.models.simulator_gan import FEATURES, ParameterDistribution, PatchFeatures
from shared.phantoms.vessels import LOG_HIGH, LOG_LOW, Thetas, simulate
from shared.privacy.randomness import derive_seed
from shared.recipes.base import Progress

PATCHES = 3  # a phantom
_BATCH = 16  # phantoms
_RATE = 6e-3  # the highest of a cycle (Smith and Topin, 2018)


class PhantomPool(nn.Module):
    """Parameters and features of public phantoms, as buffers, so that they lie in the checkpoint."""

    points: Tensor  # (n, parameters), scaled to [-1, 1]
    proposal: Tensor  # (n,), log density of being drawn
    features: Tensor  # (n, PATCHES, FEATURES)

    def __init__(self, phantoms: int, parameters: int) -> None:
        """Make room for `phantoms`."""
        super().__init__()
        self.register_buffer("points", torch.zeros(phantoms, parameters))
        self.register_buffer("proposal", torch.zeros(phantoms))
        self.register_buffer("features", torch.zeros(phantoms, PATCHES, FEATURES))

    def renew(
        self, distribution: ParameterDistribution, edge: int, seed: int, progress: Progress = lambda *step: None
    ) -> Tensor:
        """Draw the pool anew and return its patches (n, PATCHES, 2, edge, edge); features are still the old."""
        random = torch.Generator().manual_seed(derive_seed(seed, "points"))
        n, parameters = self.points.shape
        anywhere = 2 * torch.rand(n - n // 2, parameters, generator=random) - 1
        near = distribution.draw(n // 2, random).cpu()
        self.points.copy_(torch.cat([anywhere, near]))
        with torch.no_grad():
            likely = distribution.log_density(self.points)
        self.proposal.copy_(torch.logaddexp(likely, torch.full_like(likely, _uniform(parameters))) - math.log(2))
        rng = np.random.default_rng(derive_seed(seed, "phantoms"))
        patches = []
        for done, theta in enumerate(thetas_of(self.points)):
            progress("public phantoms", done, n)
            patches.append(simulate(theta, PATCHES, edge, rng))
        return torch.from_numpy(np.stack(patches))

    @torch.no_grad()
    def look(self, network: PatchFeatures, patches: Tensor) -> None:
        """Compute the features of the pool's patches."""
        where = self.features.device
        for kept, some in zip(torch.split(self.features, _BATCH), torch.split(patches, _BATCH), strict=True):
            kept.copy_(network(some.flatten(0, 1).to(where)).unflatten(0, (-1, PATCHES)))

    def scores(self, head: nn.Module) -> Tensor:
        """Return what the critic's head says of every patch, (n, PATCHES)."""
        scores: Tensor = head(self.features)
        return scores.squeeze(-1)

    def shares(self, distribution: ParameterDistribution) -> Tensor:
        """Return weights (n,) that sum to 1 and make the pool a sample of the distribution."""
        return torch.softmax(distribution.log_density(self.points) - self.proposal, 0)

    def effective(self, distribution: ParameterDistribution) -> float:
        """Return the effective share of the pool as a sample of the distribution (Kish, 1965), in (0, 1]."""
        with torch.no_grad():
            return float(1 / self.shares(distribution).square().sum()) / len(self.points)

    def divergence(self, distribution: ParameterDistribution) -> Tensor:
        """Return the relative entropy of the distribution to the public simulator's, a scalar."""
        excess = distribution.log_density(self.points) - _uniform(self.points.shape[1])
        return (self.shares(distribution) * excess).sum()


def learn_features(
    network: PatchFeatures, points: Tensor, patches: Tensor, steps: int, seed: int, progress: Progress
) -> None:
    """Train the network to tell a phantom's parameters from patches (n, PATCHES, 2, edge, edge) of it."""
    random = torch.Generator().manual_seed(derive_seed(seed, "features"))
    readout = nn.Linear(FEATURES, points.shape[1]).to(points.device)
    nn.init.zeros_(readout.weight)
    parameters = [*network.parameters(), *readout.parameters()]
    optimizer = torch.optim.Adam(parameters)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, steps)
    network.requires_grad_(True)
    for step in range(steps):
        progress("features of public phantoms", step, steps)
        chosen = torch.randint(len(points), (_BATCH,), generator=random)
        seen = network(patches[chosen].flatten(0, 1).to(points.device))
        guess = readout(seen.unflatten(0, (-1, PATCHES)).mean(1))
        loss = nn.functional.mse_loss(guess, points[chosen])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        cycle.step()
    with torch.no_grad():
        seen = torch.cat([network(some.flatten(0, 1).to(points.device)) for some in torch.split(patches, _BATCH)])
    network.standardise(seen)


def thetas_of(points: Tensor) -> Thetas:
    """Return the simulator's parameters (n, parameters) of scaled points."""
    logs = LOG_LOW + (points.double().cpu().numpy() + 1) / 2 * (LOG_HIGH - LOG_LOW)
    thetas: NDArray[np.float64] = np.exp(logs)
    return thetas


def _uniform(parameters: int) -> float:
    """Return the log density of the public simulator's scaled parameters."""
    return -parameters * math.log(2)
