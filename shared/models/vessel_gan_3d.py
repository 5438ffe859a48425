"""Generator and critic of 3D vessel patches with labels (Subramaniam et al., 2022).

The generator starts from a dense layer and doubles three times by nearest neighbours, each time followed by a
convolution; the critic halves four times. Two channels, image and label, both in [-1, 1]; kernel 3 throughout.
For what stands in the place of batch norm see `shared.models.layers`. The paper's figure of 145 million
parameters is generator and critic together.
"""

import itertools
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from shared.models.layers import CriticNorm, downward, group_norm, latents

CHANNELS = 2  # image, label
_DOUBLINGS, _HALVINGS = 3, 4
_DARK = (-0.7, -1.5)  # of image and label before the hyperbolic tangent


@dataclass(frozen=True)
class VesselGan3dSize:
    """Widths of the two networks; a layer has half the filters of the one further in."""

    latent: int
    generator_width: int  # filters of the innermost map
    critic_width: int
    shape: tuple[int, int, int]  # of a patch (i, j, k), each edge a multiple of 16
    critic_norm: CriticNorm = CriticNorm.INSTANCE


GP_PAPER = VesselGan3dSize(128, 512, 512, (128, 128, 64))
SN_PAPER = replace(GP_PAPER, critic_norm=CriticNorm.SPECTRAL)
COMPLEX_PAPER = replace(SN_PAPER, generator_width=1024, critic_width=1024)  # c-SN-MP
DP_PAPER = replace(GP_PAPER, generator_width=256, critic_width=256)  # appendix B
GP_SMALL = VesselGan3dSize(32, 64, 64, (32, 32, 16))
SN_SMALL = replace(GP_SMALL, critic_norm=CriticNorm.SPECTRAL)
COMPLEX_SMALL = replace(SN_SMALL, generator_width=128, critic_width=128)


class VesselGenerator3d(nn.Module):
    """Latent noise to image and label."""

    def __init__(self, size: VesselGan3dSize) -> None:
        super().__init__()
        self.latent = size.latent
        seed = [edge >> _DOUBLINGS for edge in size.shape]
        widths = [size.generator_width >> depth for depth in range(_DOUBLINGS + 1)]
        self.seed = nn.Sequential(
            nn.Linear(size.latent, widths[0] * seed[0] * seed[1] * seed[2]),
            nn.Unflatten(1, (widths[0], *seed)),
            group_norm(widths[0]),
            nn.ReLU(),
        )
        self.up = nn.Sequential(*(_doubling(a, b) for a, b in itertools.pairwise(widths)))
        self.output = nn.Sequential(nn.Conv3d(widths[-1], CHANNELS, 3, padding=1), nn.Tanh())

    def forward(self, latent: Tensor) -> Tensor:
        """Map noise (b, latent), standard normal, to patches (b, 2, i, j, k) in [-1, 1]."""
        patches: Tensor = self.output(self.up(self.seed(latent)))
        return patches

    @torch.no_grad()
    def start_dark(self) -> None:
        """Let fresh weights draw dark images with hardly a vessel, or hundreds of steps go by until they do."""
        output = self.output[0]
        assert isinstance(output, nn.Conv3d)
        assert output.bias is not None
        output.bias.copy_(torch.tensor(_DARK))

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n patches (n, 2, i, j, k) from latent noise drawn with the given generator."""
        patches: Tensor = self(latents(n, self, self.latent, generator))
        return patches


class VesselCritic3d(nn.Module):
    """Image and label to a score."""

    def __init__(self, size: VesselGan3dSize) -> None:
        super().__init__()
        widths = [size.critic_width >> depth for depth in reversed(range(_HALVINGS))]
        halvings = (
            downward(nn.Conv3d(a, b, 3, stride=2, padding=1), size.critic_norm)
            for a, b in itertools.pairwise([CHANNELS, *widths])
        )
        i, j, k = (edge >> _HALVINGS for edge in size.shape)
        self.layers = nn.Sequential(*halvings, nn.Flatten(), nn.Linear(widths[-1] * i * j * k, 1))

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches (b, 2, i, j, k) to b scores, higher for what looks real."""
        score: Tensor = self.layers(patches)
        return score.flatten()


def _doubling(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv3d(channels_in, channels_out, 3, padding=1),
        group_norm(channels_out),
        nn.ReLU(),
    )
