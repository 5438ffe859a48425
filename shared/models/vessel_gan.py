"""Generator and critic of 2D vessel patches with labels (Kossen et al., 2022: DP-WGAN).

Convolutions of kernel 4 and stride 2 throughout; two channels, image and label, both in [-1, 1]. In place of
the paper's batch norm the generator has group norm, the critic instance norm without affine weights: no
statistic is shared between records or kept.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

SLOPE = 0.2
CHANNELS = 2  # image, label


@dataclass(frozen=True)
class VesselGanSize:
    """Widths from the innermost layer outwards; each halving or doubling is one entry."""

    latent: int
    widths: tuple[int, ...]
    seed: int  # edge of the innermost map: patch = seed · 2^len(widths)


PAPER = VesselGanSize(latent=128, widths=(1536, 768, 384, 192, 96), seed=3)  # 96 x 96
SMALL = VesselGanSize(latent=32, widths=(128, 64, 32, 16), seed=4)  # 64 x 64


class VesselGenerator(nn.Module):
    """Latent noise to image and label."""

    def __init__(self, size: VesselGanSize) -> None:
        super().__init__()
        self.latent = size.latent
        layers: list[nn.Module] = [_first(size), _norm(size.widths[0]), nn.ReLU()]
        for a, b in itertools.pairwise(size.widths):
            layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), _norm(b), nn.ReLU()]
        layers += [nn.ConvTranspose2d(size.widths[-1], CHANNELS, 4, 2, 1, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        """Map noise (b, latent), standard normal, to patches (b, 2, edge, edge) in [-1, 1]."""
        patches: Tensor = self.layers(latent[:, :, None, None])
        return patches

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n patches (n, 2, edge, edge) from latent noise drawn with the given generator."""
        latent = torch.randn(n, self.latent, generator=generator)
        patches: Tensor = self(latent.to(next(self.parameters()).device))
        return patches


class VesselCritic(nn.Module):
    """Image and label to a score."""

    def __init__(self, size: VesselGanSize) -> None:
        super().__init__()
        widths = (CHANNELS, *reversed(size.widths))
        layers: list[nn.Module] = []
        for depth, (a, b) in enumerate(itertools.pairwise(widths)):
            norm = [nn.InstanceNorm2d(b)] if depth else []  # not on the first layer: intensities matter
            layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), *norm, nn.LeakyReLU(SLOPE)]
        stride, padding = _last(size)
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, stride, padding, bias=False))

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches (b, 2, edge, edge) to b scores, higher for what looks real."""
        score: Tensor = self.layers(patches)
        return score.flatten()


def initialise(network: nn.Module, generator: torch.Generator) -> None:
    """Draw convolution weights from N(0, 0.05²), as the paper's code does; norms start at identity."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, 0.05, generator=generator)


def _first(size: VesselGanSize) -> nn.ConvTranspose2d:
    if size.seed == 3:
        return nn.ConvTranspose2d(size.latent, size.widths[0], 4, 2, 1, output_padding=1, bias=False)
    return nn.ConvTranspose2d(size.latent, size.widths[0], 4, 1, 0, bias=False)


def _last(size: VesselGanSize) -> tuple[int, int]:
    return (2, 1) if size.seed == 3 else (1, 0)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(min(32, channels), channels)
