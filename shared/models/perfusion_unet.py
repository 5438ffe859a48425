"""Generators from a bolus' frames to perfusion maps: pix2pix and temp-pix2pix (Kossen et al., 2023).

Both are a U-Net with kernel 4 and stride 2 all the way: six halvings, leaky rectifiers; six doublings by
transposed convolutions, rectifiers; tanh. Neither the first nor the innermost convolution is normalised, as in
the papers' code: the innermost map is of one pixel, which a norm would blot out. pix2pix takes frames as channels.
temp-pix2pix first lets six convolutions along time alone make one map of features of them.

The U-Net halves the edge first and doubles it last, so nothing as fine as a pixel goes through it. With `fine`
each pixel's own features are weighed and added to its maps before tanh. That is ours, and in no paper.

In the place of batch norm the U-Net has group norm (see `shared.models.layers`), and the trunk a scale and a shift
for each channel: a norm over a slice would make curves higher where the slice shows less brain, and their height
is what flow and volume are read from. Weights are as many.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shared.imaging.perfusion.frames import FRAMES
from shared.models.layers import SLOPE, ChannelScale, group_norm

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

    def __init__(
        self, maps: int, widths: tuple[int, ...], trunk: "TemporalTrunk | None" = None, *, fine: bool = False
    ) -> None:
        """Take `FRAMES` frames, as they are or by a trunk; `fine` says whether pixels also go past the U-Net."""
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        beside = (0, *reversed(widths[1:-1]))  # channels that come beside each map on the way up
        self.trunk = trunk or nn.Identity()
        features = FRAMES if trunk is None else trunk.features
        self.first = _halving(features, widths[0])
        self.down = nn.ModuleList(_down(a, b) for a, b in pairs[:-1])
        self.innermost = nn.Sequential(nn.LeakyReLU(SLOPE), _halving(*pairs[-1]))
        self.up = nn.ModuleList(_up(b + skip, a) for (a, b), skip in zip(reversed(pairs), beside, strict=True))
        self.last = nn.ConvTranspose2d(2 * widths[0], maps, _KERNEL, 2, padding=1)
        self.past = nn.Conv2d(features, maps, 1) if fine else None

    def forward(self, frames: Tensor) -> Tensor:
        """Map (b, `FRAMES`, edge, edge), the edge a multiple of 64, to (b, maps, edge, edge)."""
        curves = self.trunk(frames)
        skips = [self.first(curves)]
        for down in self.down:
            skips.append(down(skips[-1]))
        features = self.innermost(skips[-1])
        for up, skip in zip(self.up, reversed(skips), strict=True):
            features = torch.cat([up(features), skip], dim=1)
        maps = self.last(torch.relu(features))
        return torch.tanh(maps if self.past is None else maps + self.past(curves))

    def draw(self, maps: Tensor, random: torch.Generator) -> Tensor:
        """Return the maps of frames, as in training."""
        drawn: Tensor = self(maps)
        return drawn


class TemporalTrunk(nn.Module):
    """80 frames to one map of features, each pixel for itself: 80, 40, 20, 10, 5, 2, 1."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(AlongTime(a, b) for a, b in itertools.pairwise((1, *widths))))
        self.features = widths[-1]

    def forward(self, frames: Tensor) -> Tensor:
        """Map frames (b, 80, edge, edge) to (b, features, edge, edge).

        Outside the brain all curves are 0, and one stands for all.
        """
        curves = frames.movedim(1, -1)
        seen = curves.any(dim=-1)
        different = torch.cat([curves.new_zeros(1, FRAMES), curves[seen]])
        features = self.layers(different[..., None])[:, 0]
        everywhere = features[0].expand(*seen.shape, -1).clone()
        everywhere[seen] = features[1:]
        return torch.movedim(everywhere, -1, 1)


class AlongTime(nn.Module):
    """A convolution of kernel 4 and stride 2 along time, scale and shift, leaky rectifier.

    It is written as a product of weights and windows, which is two to three times faster on a CPU.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.weigh = nn.Linear(_KERNEL * channels_in, channels_out)
        self.scale = ChannelScale(channels_out)

    def forward(self, curves: Tensor) -> Tensor:
        """Map curves (n, t, channels_in) to (n, t / 2, channels_out); a half is rounded down."""
        windows = nn.functional.pad(curves, (0, 0, 1, 1)).unfold(1, _KERNEL, 2).flatten(2)
        return nn.functional.leaky_relu(self.scale(self.weigh(windows)), SLOPE)


def _halving(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, _KERNEL, 2, padding=1, bias=False)


def _down(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(nn.LeakyReLU(SLOPE), _halving(channels_in, channels_out), group_norm(channels_out))


def _up(channels_in: int, channels_out: int) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(channels_in, channels_out, _KERNEL, 2, padding=1, bias=False)
    return nn.Sequential(nn.ReLU(), convolution, group_norm(channels_out))
