"""Generator and critic of 3D lesion masks (Platscher et al., 2020, appendix A.4).

Both work on the 32³ occupancy grid of `shared.imaging.lesion_grid`. Neither holds a buffer: instance norm
keeps no running statistics, so parameters are all that training can change. One sigmoid channel stands for
the paper's softmax over two classes, which is a sigmoid of their difference.
"""

import itertools
import math
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from shared.imaging.lesion_grid import GRID

SLOPE = 0.2  # of every leaky rectifier
MEAN_FEATURE = (1 - SLOPE) / (2 * math.pi) ** 0.5  # a standard normal value's mean after the rectifier
EMPTY_LOGIT = 3.0  # of the background in a fresh generator, below zero: 5 % occupancy
Network = TypeVar("Network", bound=nn.Module)

SEED = 4  # cells a side of the generator's first map


@dataclass(frozen=True)
class LesionGanSize:
    """Widths of the two networks.

    Each generator channel count is one doubling from 4³. The paper's three reach 32³; with fewer, logits are
    interpolated to 32³, which costs an eighth a doubling left out and smooths the surface.
    """

    latent: int
    seed_channels: int
    generator_channels: tuple[int, ...]
    output_kernel: int
    critic_channels: tuple[int, ...]  # one a halving, so at most five
    critic_kernel: int
    critic_hidden: int


PAPER = LesionGanSize(100, 100, (128, 64, 32), 7, (8, 16, 32, 64, 128), 5, 512)
SMALL = LesionGanSize(48, 48, (48, 24), 3, (8, 16, 32, 64), 3, 64)


class LesionGenerator(nn.Module):
    """Latent noise to lesion occupancy."""

    def __init__(self, size: LesionGanSize) -> None:
        super().__init__()
        self.latent = size.latent
        self.dense = nn.Linear(size.latent, size.seed_channels * SEED**3)
        self.seed_norm = nn.InstanceNorm3d(size.seed_channels, affine=True)
        widths = (size.seed_channels, *size.generator_channels)
        steps = (_upward(a, b) for a, b in itertools.pairwise(widths))
        self.up = nn.Sequential(*steps)
        kernel = size.output_kernel
        self.output = nn.Conv3d(widths[-1], 1, kernel, padding=kernel // 2, bias=False)

    def forward(self, latent: Tensor) -> Tensor:
        """Map noise (b, latent), standard normal, to occupancy (b, 1, 32, 32, 32) in (0, 1)."""
        seed = self.dense(latent).unflatten(1, (-1, SEED, SEED, SEED))
        features = nn.functional.leaky_relu(self.seed_norm(seed), SLOPE)
        logits: Tensor = self.output(self.up(features))
        if logits.shape[-1] != GRID:
            logits = nn.functional.interpolate(logits, size=(GRID,) * 3, mode="trilinear")
        return torch.sigmoid(logits)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n occupancies (n, 1, 32, 32, 32) from latent noise drawn with the given generator."""
        device = self.dense.weight.device
        latent = torch.randn(n, self.latent, generator=generator, device=generator.device)
        occupancy: Tensor = self(latent.to(device))
        return occupancy


class LesionCritic(nn.Module):
    """Lesion occupancy to a score; without norm or bias, so samples of a batch never mix."""

    def __init__(self, size: LesionGanSize) -> None:
        super().__init__()
        widths, kernel = (1, *size.critic_channels), size.critic_kernel
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise(widths):
            layers += [
                nn.Conv3d(a, b, kernel, stride=2, padding=kernel // 2, bias=False),
                nn.LeakyReLU(SLOPE),
            ]
        side = GRID >> len(size.critic_channels)
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.hidden = nn.Linear(widths[-1] * side**3, size.critic_hidden, bias=False)
        self.score = nn.Linear(size.critic_hidden, 1, bias=False)

    def forward(self, occupancy: Tensor) -> Tensor:
        """Map occupancy (b, 1, 32, 32, 32) to b scores, higher for what looks real."""
        hidden = nn.functional.leaky_relu(self.hidden(self.features(occupancy)), SLOPE)
        score: Tensor = self.score(hidden)
        return score.squeeze(1)


def build_generator(size: LesionGanSize, generator: torch.Generator) -> LesionGenerator:
    """Return a generator whose first weights depend on the given random generator alone.

    Its first masks are nearly empty, as lesions fill a few per cent of the cube: without that, hundreds of
    steps go by before the background is dark.
    """
    with torch.device("meta"):
        network = LesionGenerator(size)
    _initialise(network, generator)
    with torch.no_grad():
        weight = network.output.weight
        weight -= EMPTY_LOGIT / (MEAN_FEATURE * weight[0].numel())
    return network


def build_critic(size: LesionGanSize, generator: torch.Generator) -> LesionCritic:
    """Return a critic whose first weights depend on the given random generator alone."""
    with torch.device("meta"):
        network = LesionCritic(size)
    return _initialise(network, generator)


def _upward(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv3d(channels_in, channels_out, 3, padding=1, bias=False),
        nn.InstanceNorm3d(channels_out, affine=True),
        nn.LeakyReLU(SLOPE),
    )


def _initialise(network: Network, generator: torch.Generator) -> Network:
    """Fill a network made without memory: He normal weights (He et al., 2015), norms 1, biases 0."""
    network.to_empty(device="cpu")
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, a=SLOPE, generator=generator)
        else:
            nn.init.constant_(parameter, 1.0 if name.endswith("weight") else 0.0)
    return network
