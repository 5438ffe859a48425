"""U-Nets (Ronneberger et al., 2015) of the papers' downstream tasks, at their sizes.

Livne et al. (2019) segment vessels in 2D with a U-Net of half the usual widths, whose up-sampling has no
weights; the 3D one of 16 to 256 filters, with transposed convolutions, has the 5.6 million parameters that
Subramaniam et al. (2022) and Platscher et al. (2020) state. Every level has two convolutions of kernel 3.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class UNetSize:
    """What tells one U-Net from another."""

    dimensions: int  # 2 or 3
    widths: tuple[int, ...]  # filters from full resolution inwards; edges must divide by 2^(levels - 1)
    transposed: bool  # up-sampling by transposed convolutions, else by nearest neighbours
    batch_norm: bool = False
    channels: int = 1  # of the image


HALF = UNetSize(2, (32, 64, 128, 256, 512), transposed=False)
FULL = UNetSize(2, (64, 128, 256, 512, 1024), transposed=False)
VOLUME = UNetSize(3, (16, 32, 64, 128, 256), transposed=True)
VOLUME_NORMED = UNetSize(3, (16, 32, 64, 128, 256), transposed=True, batch_norm=True)


class UNet(nn.Module):
    """Image to logits of one class."""

    def __init__(self, size: UNetSize) -> None:
        super().__init__()
        three = size.dimensions == 3
        self._convolution = nn.Conv3d if three else nn.Conv2d
        self._norm = (nn.BatchNorm3d if three else nn.BatchNorm2d) if size.batch_norm else None
        transposed = nn.ConvTranspose3d if three else nn.ConvTranspose2d
        inwards = itertools.pairwise((size.channels, *size.widths))
        outwards = list(itertools.pairwise(reversed(size.widths)))
        self.down = nn.ModuleList(self._level(a, b) for a, b in inwards)
        self.pool = (nn.MaxPool3d if three else nn.MaxPool2d)(2)
        self.up = nn.ModuleList(
            transposed(a, b, 2, stride=2) if size.transposed else nn.Upsample(scale_factor=2, mode="nearest")
            for a, b in outwards
        )
        self.join = nn.ModuleList(self._level((b if size.transposed else a) + b, b) for a, b in outwards)
        self.output = self._convolution(size.widths[0], 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Map images (b, channels, i, j[, k]) to logits (b, 1, i, j[, k])."""
        skipped: list[Tensor] = []
        features = image
        for depth, level in enumerate(self.down):
            features = level(self.pool(features) if depth else features)
            skipped.append(features)
        skipped.pop()
        for up, join in zip(self.up, self.join, strict=True):
            features = join(torch.cat([up(features), skipped.pop()], dim=1))
        logits: Tensor = self.output(features)
        return logits

    def _level(self, channels_in: int, channels_out: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for a in (channels_in, channels_out):
            layers += [
                self._convolution(a, channels_out, 3, padding=1),
                *([self._norm(channels_out)] if self._norm else []),
                nn.ReLU(),
            ]
        return nn.Sequential(*layers)
