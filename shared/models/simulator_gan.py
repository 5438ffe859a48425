"""A GAN whose generator is the public simulator (adversarial variational optimisation; Louppe et al., 2019).

What is learnt of the generator is the distribution of the simulator's parameters: a mean and a spread each. The
simulator cannot be differentiated, so phantoms are weighed by how much likelier the distribution makes them.
The critic is a head on features that are learnt from public phantoms: only the head is moved by patients, and
noise on its few numbers is small where noise on a whole critic drowns everything.
"""

import itertools
import math

import torch
from torch import Tensor, nn

from shared.models.layers import SLOPE

FEATURES = 64
_WIDTHS = (16, 32, 64, 64)
_NARROWEST, _WIDEST = -2.5, 1.0  # log deviation; the range of a scaled parameter is [-1, 1]


class PatchFeatures(nn.Module):
    """Image and label to features in units of their spread over public phantoms.

    Mean, maximum and spread over the last map: how much there is of something, whether there is any, and how
    unevenly it lies.
    """

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(2, _WIDTHS[0], 3, padding=1), nn.LeakyReLU(SLOPE)]
        for a, b in itertools.pairwise(_WIDTHS):
            layers += [nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(SLOPE)]
        self.map = nn.Sequential(*layers)
        self.join = nn.Linear(3 * _WIDTHS[-1], FEATURES)
        self.centre = nn.Parameter(torch.zeros(FEATURES))
        self.scale = nn.Parameter(torch.ones(FEATURES))

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches (b, 2, edge, edge) in [-1, 1] to (b, FEATURES)."""
        places = self.map(patches).float().flatten(2)
        pooled = torch.cat([places.mean(2), places.amax(2), places.std(2)], dim=1)
        features: Tensor = (torch.tanh(self.join(pooled)) - self.centre) / self.scale
        return features

    @torch.no_grad()
    def standardise(self, features: Tensor) -> None:
        """Give `features` (n, FEATURES), computed as the network stands, mean 0 and deviation 1."""
        self.centre.add_(features.mean(0) * self.scale)
        self.scale.mul_(features.std(0).clamp_min(1e-3))


def build_head(hidden: int) -> nn.Sequential:
    """Return the moved part of the critic, (b, FEATURES) -> (b, 1): linear, or with one hidden layer.

    It starts at zero: before any patient was asked, all phantoms look alike.
    """
    if not hidden:
        head = nn.Sequential(nn.Linear(FEATURES, 1))
    else:
        head = nn.Sequential(nn.Linear(FEATURES, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, 1))
    last = head[-1]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return head


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
