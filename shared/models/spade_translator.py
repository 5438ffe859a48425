"""Generator of slices from noise under a map: spatially adaptive normalisation (SPADE; Park et al., 2019).

A map of features is normalised slice by slice and channel by channel, then scaled by 1 + γ and shifted by β,
which convolutions compute from the class map. Noise, widths and the order of layers are those of Platscher et
al. (2020), appendix A.3. Theirs sees the map last before the last up-sampling; here it is seen once more at
full size, or lesions would end in steps of two pixels. Where features are coarser than the map they are told
what share of a cell each class has.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shared.imaging.anatomy import CLASSES
from shared.models.layers import SLOPE, latents

_SEED = 4  # pixels a side of the first features


@dataclass(frozen=True)
class SpadeSize:
    """Widths; slices have 4 pixels a side, doubled as often as there are blocks."""

    latent: int
    widths: tuple[int, ...]  # of the blocks
    hidden: int  # channels between class map and γ, β


PAPER = SpadeSize(128, (128, 64, 32, 16, 8), 128)
SMALL = SpadeSize(32, (48, 32, 24, 16), 16)


class SpadeNorm(nn.Module):
    """Instance norm whose scale and shift follow the map (Park et al., 2019)."""

    def __init__(self, features: int, hidden: int) -> None:
        super().__init__()
        self.normed = nn.InstanceNorm2d(features)
        self.shared = nn.Conv2d(CLASSES, hidden, 3, padding=1)
        self.gamma = nn.Conv2d(hidden, features, 3, padding=1)
        self.beta = nn.Conv2d(hidden, features, 3, padding=1)

    def forward(self, features: Tensor, shares: Tensor) -> Tensor:
        """Return features (b, c, n, n) as the shares (b, 29, n, n) of classes would have them."""
        hidden = torch.relu(self.shared(shares))
        adapted: Tensor = self.normed(features) * (1 + self.gamma(hidden)) + self.beta(hidden)
        return adapted


class SpadeBlock(nn.Module):
    """Two convolutions, each after a norm and a leaky rectifier, beside a shorter way."""

    def __init__(self, channels_in: int, channels_out: int, hidden: int) -> None:
        super().__init__()
        middle = min(channels_in, channels_out)
        self.norms = nn.ModuleList(SpadeNorm(c, hidden) for c in (channels_in, middle))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) for a, b in itertools.pairwise((channels_in, middle, channels_out))
        )
        self.shorter: nn.ModuleList | None = None
        if channels_in != channels_out:
            straight = nn.Conv2d(channels_in, channels_out, 1, bias=False)
            self.shorter = nn.ModuleList([SpadeNorm(channels_in, hidden), straight])

    def forward(self, features: Tensor, shares: Tensor) -> Tensor:
        """Return features (b, channels_out, n, n)."""
        straight = features
        if self.shorter is not None:
            norm, convolution = self.shorter
            straight = convolution(norm(features, shares))
        for norm, convolution in zip(self.norms, self.convolutions, strict=True):
            features = convolution(nn.functional.leaky_relu(norm(features, shares), SLOPE))
        return straight + features


class SpadeTranslator(nn.Module):
    """One-hot maps and noise to slices."""

    def __init__(self, size: SpadeSize) -> None:
        super().__init__()
        self.latent = size.latent
        self.dense = nn.Linear(size.latent, size.widths[0] * _SEED**2)
        steps = itertools.pairwise((size.widths[0], *size.widths))
        self.blocks = nn.ModuleList(SpadeBlock(a, b, size.hidden) for a, b in steps)
        self.last_norm = SpadeNorm(size.widths[-1], size.hidden)
        self.last = nn.Conv2d(size.widths[-1], 1, 3, padding=1)

    def forward(self, maps: Tensor, noise: Tensor) -> Tensor:
        """Map (b, 29, edge, edge) and noise (b, latent), standard normal, to slices (b, 1, edge, edge)."""
        features = self.dense(noise).unflatten(1, (-1, _SEED, _SEED))
        for block in self.blocks:
            shares = nn.functional.adaptive_avg_pool2d(maps, features.shape[2:])
            features = nn.functional.interpolate(block(features, shares), scale_factor=2, mode="nearest")
        features = nn.functional.leaky_relu(self.last_norm(features, maps), SLOPE)
        return torch.tanh(self.last(features))

    def draw(self, maps: Tensor, random: torch.Generator) -> Tensor:
        """Return slices (b, 1, edge, edge) of maps, each with noise of its own."""
        drawn: Tensor = self(maps, latents(len(maps), self, self.latent, random))
        return drawn

    def draw_volume(self, maps: Tensor, random: torch.Generator) -> Tensor:
        """Return the slices of one volume: they share their noise, so that they fit one another."""
        drawn: Tensor = self(maps, latents(1, self, self.latent, random).expand(len(maps), -1))
        return drawn
