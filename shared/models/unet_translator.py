"""U-Net from maps to images, and back for cycles: the generator of pix2pix (Isola et al., 2017).

Layers are those of Platscher et al. (2020), appendix A.2: down by convolutions of kernel 4 and stride 2, up by
nearest neighbours and convolutions of kernel 4, all with instance norm but the first. Instance norm is written
as group norm with groups of one channel. The innermost map is normalised over all of its channels instead:
at paper size it is one pixel, which instance norm would blot out. Weights are as many.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shared.imaging.anatomy import CLASSES
from shared.models.layers import SLOPE

_KERNEL = 4
_SAME = (1, 2, 1, 2)  # zeros around a picture that kernel 4 leaves as large as it was


@dataclass(frozen=True)
class UnetSize:
    """Channels after each halving, and the share of values dropped on the way up."""

    widths: tuple[int, ...]
    dropout: float


PAPER = UnetSize((64, 128, 256, 512, 512, 512, 512), 0.3)
SMALL = UnetSize((24, 48, 64, 64), 0.0)


class UnetTranslator(nn.Module):
    """One-hot maps to slices; a drawn slice is the same every time, for dropout is for training alone."""

    def __init__(self, size: UnetSize, channels: tuple[int, int] = (CLASSES, 1)) -> None:
        """Translate `channels[0]` to `channels[1]`; one comes out in [-1, 1], several as shares of 1."""
        super().__init__()
        widths = size.widths
        self.dropout = size.dropout
        down = [_down(a, b) for a, b in itertools.pairwise(widths[:-1])]
        self.first = nn.Conv2d(channels[0], widths[0], _KERNEL, 2, padding=1)
        self.down = nn.ModuleList([*down, _down(widths[-2], widths[-1], innermost=True)])
        skipped = (0, *reversed(widths[1:-1]))  # channels that come beside each map on the way up
        steps = itertools.pairwise(reversed(widths))
        self.up = nn.ModuleList(_up(a + skip, b) for (a, b), skip in zip(steps, skipped, strict=True))
        self.norms = nn.ModuleList(nn.GroupNorm(b, b) for b in reversed(widths[:-1]))
        self.last = _up(2 * widths[0], channels[1])

    def forward(self, maps: Tensor, random: torch.Generator | None = None) -> Tensor:
        """Map (b, channels, edge, edge), the edge a multiple of 2 to the number of widths, to as large slices.

        With `random`, values are dropped as in training.
        """
        features = nn.functional.leaky_relu(self.first(maps), SLOPE)
        skips = []
        for down in self.down:
            skips.append(features)
            features = down(features)
        for up, norm, skip in zip(self.up, self.norms, reversed(skips), strict=True):
            risen = norm(self._dropped(nn.functional.leaky_relu(up(features), SLOPE), random))
            features = nn.functional.leaky_relu(torch.cat([risen, skip], 1), SLOPE)
        drawn: Tensor = self.last(features)
        return torch.tanh(drawn) if drawn.shape[1] == 1 else torch.softmax(drawn, 1)

    def draw(self, maps: Tensor, random: torch.Generator) -> Tensor:
        """Return slices (b, 1, edge, edge) of maps, as in training."""
        drawn: Tensor = self(maps, random)
        return drawn

    def draw_volume(self, maps: Tensor, random: torch.Generator) -> Tensor:
        """Return the slices of one volume, each of which follows from its map alone."""
        drawn: Tensor = self(maps)
        return drawn

    def _dropped(self, features: Tensor, random: torch.Generator | None) -> Tensor:
        """Drop values, as one generator says: torch's own layer would let patients share draws."""
        if random is None or not self.dropout:
            return features
        kept = torch.rand(features.shape, generator=random).to(features.device) >= self.dropout
        return features * kept / (1 - self.dropout)


def _down(channels_in: int, channels_out: int, *, innermost: bool = False) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, _KERNEL, 2, padding=1),
        nn.GroupNorm(1 if innermost else channels_out, channels_out),
        nn.LeakyReLU(SLOPE),
    )


def _up(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.ZeroPad2d(_SAME),
        nn.Conv2d(channels_in, channels_out, _KERNEL),
    )
