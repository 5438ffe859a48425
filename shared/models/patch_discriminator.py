"""The discriminator of all translators: a score for every patch of a slice (Isola et al., 2017).

Layers are those of Platscher et al. (2020) and its public code: kernel 4, the widths given with stride 2, the
last of them once more with stride 1, then one score a patch; the layer with stride 1 of Kossen et al. (2023) is
twice as wide. At paper size Platscher's has the 444,449 weights of that code; the paper's 888,898 counts each
twice. Instance norm is written as group norm with groups of one channel, which is the same and keeps no
statistics.
"""

import itertools

from torch import Tensor, nn

from shared.models.layers import SLOPE

PAPER_WIDTHS, SMALL_WIDTHS = (32, 64, 128), (16, 32, 64)
_KERNEL = 4


class PatchDiscriminator(nn.Module):
    """A picture, with the map it was drawn from as further channels if it is conditional, to scores."""

    def __init__(self, channels: int, widths: tuple[int, ...], last: int | None = None) -> None:
        """Have the widths given with stride 2, and `last` with stride 1: as many as the last of them if None."""
        super().__init__()
        last = last or widths[-1]
        layers: list[nn.Module] = []
        for a, b in itertools.pairwise((channels, *widths)):
            layers += _layer(a, b, stride=2)
        layers += _layer(widths[-1], last, stride=1)
        self.layers = nn.Sequential(*layers, nn.Conv2d(last, 1, _KERNEL, padding=1))

    def forward(self, pictures: Tensor) -> Tensor:
        """Map (b, channels, edge, edge) to scores (b, 1, patches, patches), higher for what looks real."""
        scores: Tensor = self.layers(pictures)
        return scores


def _layer(channels_in: int, channels_out: int, stride: int) -> list[nn.Module]:
    convolution = nn.Conv2d(channels_in, channels_out, _KERNEL, stride, padding=1)
    return [convolution, nn.GroupNorm(channels_out, channels_out), nn.LeakyReLU(SLOPE)]
