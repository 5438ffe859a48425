"""Discriminator of the DCGAN of Kossen et al. (2021): convolutions, then minibatch discrimination.

Minibatch discrimination (Salimans et al., 2016) tells each record how close the others of its batch are, so
that a generator cannot get by with one picture. The batch must therefore be one patient's records: patients
never see each other. In place of batch norm there is group norm (`shared.models.layers`).
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shared.models.layers import SLOPE, group_norm
from shared.models.vessel_gan import CHANNELS, VesselGanSize


@dataclass(frozen=True)
class HeadSize:
    """Widths after the convolutions."""

    channels: int  # of the last convolution, whose output is what feature matching compares
    hidden: int
    kernels: int  # of minibatch discrimination
    depth: int  # numbers a kernel compares


PAPER_HEAD = HeadSize(channels=50, hidden=200, kernels=100, depth=16)
SMALL_HEAD = HeadSize(channels=16, hidden=32, kernels=16, depth=8)


class MinibatchDiscrimination(nn.Module):
    """Append to each record's features its closeness to the rest of the batch, kernel by kernel."""

    def __init__(self, features: int, kernels: int, depth: int) -> None:
        super().__init__()
        self.compare = nn.Linear(features, kernels * depth, bias=False)
        self.kernels = kernels

    def forward(self, features: Tensor) -> Tensor:
        """Map (b, features) to (b, features + kernels); closeness is Σ exp(−L1 distance) over the others."""
        compared = self.compare(features).unflatten(1, (self.kernels, -1)).transpose(0, 1)
        distance = torch.cdist(compared, compared, p=1.0)  # (kernels, b, b)
        closeness = torch.exp(-distance).sum(2) - 1.0  # without itself
        return torch.cat([features, closeness.T], dim=1)


class VesselDiscriminator(nn.Module):
    """Image and label to the logit of being real."""

    def __init__(self, size: VesselGanSize, head: HeadSize) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        widths = (CHANNELS, *reversed(size.widths[1:]))
        for a, b in itertools.pairwise(widths):
            convolution = nn.Conv2d(a, b, size.kernel, 2, size.padding, bias=False)
            layers += [convolution, group_norm(b), nn.LeakyReLU(SLOPE)]
        layers += [nn.Conv2d(widths[-1], head.channels, size.kernel, 2, 1, bias=False)]
        self.layers = nn.Sequential(*layers)
        edge = (2 * size.seed + 2 - size.kernel) // 2 + 1
        self.hidden = nn.Linear(head.channels * edge**2, head.hidden)
        self.compare = MinibatchDiscrimination(head.hidden, head.kernels, head.depth)
        self.score = nn.Linear(head.hidden + head.kernels, 1)

    def features(self, patches: Tensor) -> Tensor:
        """Map patches (b, 2, edge, edge) to the last convolution's output (b, channels, e, e)."""
        features: Tensor = self.layers(patches)
        return features

    def forward(self, patches: Tensor) -> Tensor:
        """Map patches (b, 2, edge, edge) to b logits, above 0 for what looks real."""
        return self.judge(self.features(patches))

    def judge(self, features: Tensor) -> Tensor:
        """Map what `features` returned to b logits."""
        logits: Tensor = self.score(self.compare(self.hidden(features.flatten(1))))
        return logits.flatten()
