"""What the vessel networks share: which norms, and first weights that follow from one random generator.

Batch norm, which the papers have in their generators, is group norm here (Wu and He, 2018), as in the private
variant of Kossen et al. (2022): with as many weights, so parameter counts are the papers'. Sites are sent the
generator and refuse batch norm in whatever they are sent (`shared.privacy.layers`), running averages of a
generator would average its weights but not its statistics, and a record must not depend on which others are
drawn beside it.
"""

import math
from collections.abc import Callable
from enum import StrEnum
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized

SLOPE = 0.2  # of every leaky rectifier
_SPREAD = 0.05  # of first convolution weights, as in the papers' code
_ITERATIONS = 15  # of the first estimate of a spectral norm, torch's own number
_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)

Network = TypeVar("Network", bound=nn.Module)


class CriticNorm(StrEnum):
    """How a critic's convolutions are normalised; neither way shares anything between records."""

    INSTANCE = "instance"  # Ulyanov et al. (2016), without weights of its own
    SPECTRAL = "spectral"  # Miyato et al. (2018), of the weights


def group_norm(channels: int, least: int = 8) -> nn.GroupNorm:
    """Return what stands in for batch norm: up to 32 groups of at least so many channels.

    Groups of one channel, as small networks would have, could not tell a map with a vessel from one without.
    """
    return nn.GroupNorm(max(1, min(32, channels // least)), channels)


class ChannelScale(nn.Module):
    """A scale and a shift for each of the last axis' channels: batch norm as it is once training is over.

    For dense layers before rectifiers: it starts as the factor that lets their first weights, which are uniform,
    keep the variance of what they pass on (He et al., 2015).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.empty(channels))

    def forward(self, features: Tensor) -> Tensor:
        """Return features (..., channels) scaled and shifted."""
        return features * self.weight + self.bias


def downward(convolution: nn.Conv2d | nn.Conv3d, norm: CriticNorm | None) -> nn.Sequential:
    """Return one critic layer: convolution, normalised if a norm is given, and leaky rectifier."""
    layers: list[nn.Module] = [convolution]
    if norm is CriticNorm.SPECTRAL:
        spectral_norm(convolution)
    elif norm is CriticNorm.INSTANCE:
        kind = nn.InstanceNorm2d if isinstance(convolution, nn.Conv2d) else nn.InstanceNorm3d
        layers.append(kind(convolution.out_channels))
    return nn.Sequential(*layers, nn.LeakyReLU(SLOPE))


def latents(n: int, network: nn.Module, width: int, generator: torch.Generator) -> Tensor:
    """Return standard normal noise (n, width) where the network's weights are."""
    return torch.randn(n, width, generator=generator).to(next(network.parameters()).device)


def build(make: Callable[[], Network], generator: torch.Generator) -> Network:
    """Return the network that `make` describes, its first weights drawn from the given generator alone."""
    with torch.device("meta"):
        network = make()
    network.to_empty(device="cpu")
    initialise(network, generator)
    return network


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw convolution weights from N(0, 0.05²) as the papers' code does; norms start at identity, biases at 0.

    Dense weights are uniform within 1/√inputs, torch's own choice.
    """
    for module in network.modules():
        bias = getattr(module, "bias", None)
        if isinstance(bias, nn.Parameter):
            nn.init.zeros_(bias)
        if isinstance(module, _CONVOLUTIONS):
            nn.init.normal_(_weight(module), 0.0, _SPREAD, generator=generator)
            _estimate_spectral_norm(module, generator)
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_uniform_(module.weight, a=math.sqrt(5), generator=generator)
        elif isinstance(module, nn.GroupNorm):
            nn.init.ones_(module.weight)
        elif isinstance(module, ChannelScale):
            nn.init.constant_(module.weight, math.sqrt(6))


def _weight(module: nn.Module) -> Tensor:
    name = "parametrizations.weight.original" if is_parametrized(module, "weight") else "weight"
    return module.get_parameter(name)


@torch.no_grad()
def _estimate_spectral_norm(module: nn.Module, generator: torch.Generator) -> None:
    if not is_parametrized(module, "weight"):
        return
    for vector in module.buffers():
        vector.copy_(torch.randn(vector.shape, generator=generator))
    for _ in range(_ITERATIONS):
        _ = module.weight  # computing it in training mode makes one power iteration
