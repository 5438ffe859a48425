"""Generators and critics of 2D vessel patches with labels (Kossen et al., 2021 and 2022).

Convolutions of one kernel and stride 2 throughout; two channels, image and label, both in [-1, 1]. The 2021
networks (WGAN-GP, WGAN-GP-SN) have kernel 5 and normalise every critic layer but the score; the 2022 network
(DP-WGAN) has kernel 4 and leaves the first layer as it is, for intensities matter. For what stands in the
place of batch norm see `shared.models.layers`; the DCGAN's discriminator is `shared.models.vessel_discriminator`.

The 2021 paper writes of 100 latent numbers for all three; its code has 100 for the DCGAN and 128 for the others.
"""

import itertools
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from shared.models.layers import CriticNorm, downward, group_norm, latents

CHANNELS = 2  # image, label


@dataclass(frozen=True)
class VesselGanSize:
    """Widths from the innermost layer outwards; each halving or doubling is one entry."""

    latent: int
    widths: tuple[int, ...]
    seed: int  # edge of the innermost map: patch = seed · 2^len(widths)
    kernel: int = 4
    critic_norm: CriticNorm = CriticNorm.INSTANCE
    first_norm: bool = False  # whether the critic's first layer is normalised too
    group: int = 1  # least number of channels the generator normalises together

    @property
    def padding(self) -> int:
        """Padding with which a convolution halves an edge, and a transposed one doubles it."""
        return (self.kernel - 1) // 2


_WIDE, _NARROW = (1536, 768, 384, 192, 96), (128, 64, 32, 16)
PAPER = VesselGanSize(latent=128, widths=_WIDE, seed=3)  # 96 x 96, DP-WGAN
SMALL = VesselGanSize(latent=32, widths=_NARROW, seed=4)  # 64 x 64
GP_PAPER = replace(PAPER, kernel=5, first_norm=True, group=8)
GP_SMALL = replace(SMALL, kernel=5, first_norm=True, group=8)
SN_PAPER = replace(GP_PAPER, critic_norm=CriticNorm.SPECTRAL)
SN_SMALL = replace(GP_SMALL, critic_norm=CriticNorm.SPECTRAL)
DC_PAPER = replace(GP_PAPER, latent=100)
DC_SMALL = GP_SMALL


class VesselGenerator(nn.Module):
    """Latent noise to image and label."""

    def __init__(self, size: VesselGanSize) -> None:
        super().__init__()
        self.latent = size.latent
        layers: list[nn.Module] = [_first(size), group_norm(size.widths[0], size.group), nn.ReLU()]
        for a, b in itertools.pairwise(size.widths):
            layers += [_doubling(size, a, b), group_norm(b, size.group), nn.ReLU()]
        layers += [_doubling(size, size.widths[-1], CHANNELS), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        """Map noise (b, latent), standard normal, to patches (b, 2, edge, edge) in [-1, 1]."""
        patches: Tensor = self.layers(latent[:, :, None, None])
        return patches

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n patches (n, 2, edge, edge) from latent noise drawn with the given generator."""
        patches: Tensor = self(latents(n, self, self.latent, generator))
        return patches


class VesselCritic(nn.Module):
    """Image and label to a score. The last convolution has no norm, spectral neither."""

    def __init__(self, size: VesselGanSize) -> None:
        super().__init__()
        stride, padding = (1, 0) if size.kernel == size.seed else (2, 1)
        score = nn.Conv2d(size.widths[0], 1, size.kernel, stride, padding, bias=False)
        self.layers = nn.Sequential(*_halvings(size), score)

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches (b, 2, edge, edge) to b scores, higher for what looks real."""
        score: Tensor = self.layers(patches)
        return score.flatten()


def _halvings(size: VesselGanSize) -> list[nn.Sequential]:
    """Return critic layers from the patch down to the innermost map, each halving the edge."""
    layers = []
    for depth, (a, b) in enumerate(itertools.pairwise((CHANNELS, *reversed(size.widths)))):
        convolution = nn.Conv2d(a, b, size.kernel, 2, size.padding, bias=False)
        layers.append(downward(convolution, size.critic_norm if depth or size.first_norm else None))
    return layers


def _doubling(size: VesselGanSize, channels_in: int, channels_out: int) -> nn.ConvTranspose2d:
    odd = size.kernel % 2
    return nn.ConvTranspose2d(channels_in, channels_out, size.kernel, 2, size.padding, odd, bias=False)


def _first(size: VesselGanSize) -> nn.ConvTranspose2d:
    """Return the layer from one pixel to `seed` pixels a side; a stride of 2 is what lets torch add an odd one."""
    odd = (size.kernel - size.seed) % 2
    padding = (size.kernel - size.seed + odd) // 2
    return nn.ConvTranspose2d(size.latent, size.widths[0], size.kernel, 1 + odd, padding, odd, bias=False)
