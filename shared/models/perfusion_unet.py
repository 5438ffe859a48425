"""Generators from a bolus' frames to perfusion maps: pix2pix and temp-pix2pix (Kossen et al., 2023).

Both are a U-Net with kernel 4 and stride 2 all the way: six halvings, leaky rectifiers; six doublings by
transposed convolutions, rectifiers; tanh. Neither the first nor the innermost convolution is normalised, as in
the papers' code: the innermost map is of one pixel, which a norm would blot out. pix2pix takes frames as channels.
temp-pix2pix first lets six convolutions along time alone make one map of features of them.

For what stands in the place of batch norm see `shared.models.layers`; weights are as many.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shared.imaging.perfusion.frames import FRAMES
from shared.models.layers import SLOPE, group_norm

_KERNEL = 4


def _paper_widths(first: int) -> tuple[int, ...]:
    return tuple(first * growth for growth in (1, 2, 4, 8, 8, 8))


@dataclass(frozen=True)
class PerfusionSize:
    """Channels after each halving, of the edge by the U-Net and of the number of frames by the trunk; six each."""

    unet: tuple[int, ...]
    trunk: tuple[int, ...]


PAPER = PerfusionSize(_paper_widths(128), _paper_widths(128))
PUBLISHED = PerfusionSize(_paper_widths(16), _paper_widths(128))  # of temp-pix2pix, whatever its code is told
SMALL = PerfusionSize((32, 32, 48, 64, 64, 64), (8, 8, 16, 32, 32, 32))


class PerfusionUnet(nn.Module):
    """Frames of slices to maps in [-1, 1]; nothing in it is random."""

    def __init__(self, maps: int, widths: tuple[int, ...], trunk: "TemporalTrunk | None" = None) -> None:
        """Take `FRAMES` frames, as they are or by a trunk."""
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        beside = (0, *reversed(widths[1:-1]))  # channels that come beside each map on the way up
        self.trunk = trunk or nn.Identity()
        self.first = _halving(FRAMES if trunk is None else trunk.features, widths[0])
        self.down = nn.ModuleList(_down(a, b) for a, b in pairs[:-1])
        self.innermost = nn.Sequential(nn.LeakyReLU(SLOPE), _halving(*pairs[-1]))
        self.up = nn.ModuleList(_up(b + skip, a) for (a, b), skip in zip(reversed(pairs), beside, strict=True))
        self.last = nn.ConvTranspose2d(2 * widths[0], maps, _KERNEL, 2, padding=1)

    def forward(self, frames: Tensor) -> Tensor:
        """Map (b, `FRAMES`, edge, edge), the edge a multiple of 64, to (b, maps, edge, edge)."""
        skips = [self.first(self.trunk(frames))]
        for down in self.down:
            skips.append(down(skips[-1]))
        features = self.innermost(skips[-1])
        for up, skip in zip(self.up, reversed(skips), strict=True):
            features = torch.cat([up(features), skip], dim=1)
        return torch.tanh(self.last(torch.relu(features)))

    def draw(self, maps: Tensor, random: torch.Generator) -> Tensor:
        """Return the maps of frames, as in training."""
        drawn: Tensor = self(maps)
        return drawn


class TemporalTrunk(nn.Module):
    """80 frames to one map of features, each pixel for itself: 80, 40, 20, 10, 5, 2, 1."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(_along_time(a, b) for a, b in itertools.pairwise((1, *widths))))
        self.features = widths[-1]

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames (b, 80, edge, edge) to (b, features, edge, edge)."""
        features: Tensor = self.layers(frames[:, None])
        return features.squeeze(2)


def _along_time(channels_in: int, channels_out: int) -> nn.Sequential:
    convolution = nn.Conv3d(channels_in, channels_out, (_KERNEL, 1, 1), (2, 1, 1), (1, 0, 0))
    return nn.Sequential(convolution, group_norm(channels_out), nn.LeakyReLU(SLOPE))


def _halving(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, _KERNEL, 2, padding=1, bias=False)


def _down(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(nn.LeakyReLU(SLOPE), _halving(channels_in, channels_out), group_norm(channels_out))


def _up(channels_in: int, channels_out: int) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(channels_in, channels_out, _KERNEL, 2, padding=1, bias=False)
    return nn.Sequential(nn.ReLU(), convolution, group_norm(channels_out))
