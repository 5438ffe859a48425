"""A GAN whose generator is the public simulator (adversarial variational optimisation; Louppe et al., 2019).

What is learnt of the generator is the distribution of the simulator's parameters: a mean and a spread each. The
simulator cannot be differentiated, so phantoms are weighed by how much likelier the distribution makes them.
The critic is a linear head on a patch's histograms: only the head is moved by patients, and noise on its few
numbers is small where noise on a whole critic drowns everything.
"""

import math

import torch
from torch import Tensor, nn

from shared.imaging.vessel_statistics import STATISTICS_DIM

_LEAST_SPREAD = 0.02  # of a share over public patches; smaller ones would magnify the rarest values
_WHITENED_SPREAD = 2.5  # of a component; the pace of a head grows with its square, what is clipped with itself
_LATENESS = 3  # power of its step's number that a head weighs in an average
_NARROWEST, _WIDEST = -2.5, 1.0  # log deviation; the range of a scaled parameter is [-1, 1]


class PatchFeatures(nn.Module):
    """Histograms of a patch, centred and along axes by which public phantoms differ by as much."""

    def __init__(self) -> None:
        """Start with the shares as they are."""
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(STATISTICS_DIM), requires_grad=False)
        self.axes = nn.Parameter(torch.eye(STATISTICS_DIM), requires_grad=False)  # columns

    def forward(self, histograms: Tensor) -> Tensor:
        """Map histograms (..., STATISTICS_DIM) to features of the same shape."""
        features: Tensor = (histograms - self.centre) @ self.axes
        return features

    @torch.no_grad()
    def standardise(self, histograms: Tensor) -> None:
        """Give the features of these histograms (n, STATISTICS_DIM) mean 0 and deviation 1 or less."""
        self.centre.copy_(histograms.mean(0))
        self.axes.copy_(torch.diag(1 / histograms.std(0).clamp_min(_LEAST_SPREAD)))

    @torch.no_grad()
    def whiten(self, histograms: Tensor, components: int) -> None:
        """Give histograms, once standardised, their first principal components for features, and then zeros.

        All have deviation `_WHITENED_SPREAD`: a head learns rare differences as fast as common ones.
        """
        self.standardise(histograms)
        variances, directions = torch.linalg.eigh(torch.cov(self(histograms).double().T))
        to_whitened = directions * _WHITENED_SPREAD / variances.clamp_min(_LEAST_SPREAD**2).sqrt()
        to_whitened = to_whitened.flip(1)
        to_whitened[:, components:] = 0
        self.axes.copy_(self.axes.double() @ to_whitened)


def build_head() -> nn.Linear:
    """Return a critic's head, (..., STATISTICS_DIM) -> (..., 1).

    It starts at zero: before any patient was asked, all phantoms look alike.
    """
    head = nn.Linear(STATISTICS_DIM, 1)
    clear(head)
    return head


def clear(head: nn.Linear) -> None:
    """Have a head find all patches alike."""
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)


@torch.no_grad()
def average_heads(average: nn.Linear, head: nn.Linear, steps: int) -> None:
    """Take the head of step `steps`, counted from 1, into an average in which later ones weigh more.

    Polynomial-decay averaging (Shamir and Zhang, 2013): free, since it reads what was released.
    """
    share = (_LATENESS + 1) / (steps + _LATENESS)
    for mean, new in zip(average.parameters(), head.parameters(), strict=True):
        mean.lerp_(new, share)


class ParameterDistribution(nn.Module):
    """Independent normals cut off at -1 and 1: a distribution of the simulator's scaled log parameters."""

    def __init__(self, parameters: int) -> None:
        """Start next to the uniform distribution, which is the public simulator's."""
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(parameters))
        self.log_std = nn.Parameter(torch.full((parameters,), _WIDEST))

    def log_density(self, points: Tensor) -> Tensor:
        """Return the log density (n,) at points (n, parameters) in [-1, 1]."""
        std = self.log_std.exp()
        low, high = self._cuts()
        exponent = -0.5 * ((points - self.mean) / std) ** 2
        log_density: Tensor = exponent - torch.log((high - low) * std * math.sqrt(2 * math.pi))
        return log_density.sum(1)

    @torch.no_grad()
    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n points (n, parameters)."""
        low, high = self._cuts()
        places = torch.rand(n, len(low), generator=generator).to(low.device)
        points: Tensor = self.mean + self.log_std.exp() * torch.special.ndtri(low + (high - low) * places)
        return points.clamp(-1, 1)  # rounding alone is cut off

    @torch.no_grad()
    def keep_within(self) -> None:
        """Put mean and spread back where the formulas above are stable."""
        self.mean.clamp_(-1.0, 1.0)
        self.log_std.clamp_(_NARROWEST, _WIDEST)

    def _cuts(self) -> tuple[Tensor, Tensor]:
        """Return the shares of each uncut normal that lie below -1 and below 1."""
        std = self.log_std.exp()
        low: Tensor = torch.special.ndtr((-1 - self.mean) / std)
        high: Tensor = torch.special.ndtr((1 - self.mean) / std)
        return low, high
