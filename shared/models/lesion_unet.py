"""3D U-Net that outlines stroke lesions (Platscher et al., 2020, appendix A.1).

Batch norm stands after every convolution of kernel 3, and not after transposed ones as the appendix has it:
without it small networks said nothing, or everything, of lesions that fill a thousandth of a volume. The 5.6
million weights are reached with transposed convolutions of kernel 2; of kernel 3, as "all convolutional
kernels" there, they would be 6.5. One output through a sigmoid stands for two through a softmax, which say the
same. Weights start as is usual before ReLU (He et al., 2015).
"""

import itertools

import torch
from torch import Tensor, nn

PAPER_WIDTHS = (16, 32, 64, 128, 256)
SMALL_WIDTHS = (8, 16, 32)
_DROPOUT = 0.02


class LesionUnet(nn.Module):
    """Images to logits, both (n, 1, i, j, k); edges are multiples of 2 to the number of widths less one."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        """Have `widths` channels at each resolution, the finest first."""
        super().__init__()
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList([_block(1, widths[0]), *(_block(a, b) for a, b in pairs)])
        self.grow = nn.ModuleList(_grow(b, a) for a, b in reversed(pairs))
        self.up = nn.ModuleList(_block(2 * a, a) for a, _ in reversed(pairs))
        self.last = nn.Conv3d(widths[0], 1, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv3d) and layer is not self.last:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of the images."""
        features = self.down[0](images)
        skips = []
        for down in self.down[1:]:
            skips.append(features)
            features = down(nn.functional.max_pool3d(features, 2))
        for grow, up, skip in zip(self.grow, self.up, reversed(skips), strict=True):
            features = up(torch.cat([grow(features), skip], dim=1))
        logits: Tensor = self.last(features)
        return logits


def _block(inputs: int, outputs: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        convolution = nn.Conv3d(channels, outputs, 3, padding=1)
        layers += [convolution, nn.BatchNorm3d(outputs), nn.ReLU(), nn.Dropout(_DROPOUT)]
    return nn.Sequential(*layers)


def _grow(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose3d(inputs, outputs, 2, 2), nn.ReLU())
