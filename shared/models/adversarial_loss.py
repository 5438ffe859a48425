"""What critic and generator are told of the critic's scores: Wasserstein's, logistic, least squares."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

REAL_TARGETS, FAKE_TARGETS = (0.7, 1.2), (0.0, 0.3)  # label smoothing of Kossen et al. (2021)


class AdversarialLoss(Protocol):
    """Losses over a batch's scores, each a scalar to be minimised; `generator` draws what is random in them."""

    def real(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Return the critic's loss on real records."""
        ...

    def fake(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """Return the critic's loss on generated records."""
        ...

    def deceive(self, scores: Tensor) -> Tensor:
        """Return the generator's loss on what it generated."""
        ...


class Wasserstein:
    """Scores up for real, down for fake (Arjovsky et al., 2017); nothing random."""

    def real(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """See `AdversarialLoss.real`."""
        return -scores.mean()

    def fake(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """See `AdversarialLoss.fake`."""
        return scores.mean()

    def deceive(self, scores: Tensor) -> Tensor:
        """See `AdversarialLoss.deceive`."""
        return -scores.mean()


WASSERSTEIN = Wasserstein()


class LeastSquares:
    """Scores towards 1 for real, 0 for fake (Mao et al., 2017); nothing random."""

    def real(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """See `AdversarialLoss.real`."""
        return (scores - 1).square().mean()

    def fake(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """See `AdversarialLoss.fake`."""
        return scores.square().mean()

    def deceive(self, scores: Tensor) -> Tensor:
        """See `AdversarialLoss.deceive`."""
        return (scores - 1).square().mean()


LEAST_SQUARES = LeastSquares()


@dataclass(frozen=True)
class Logistic:
    """Cross entropy of scores (b,) as logits (Goodfellow et al., 2014), with smoothed targets.

    A target above 1, as the 2021 code draws two times in five, is a loss without a lower bound: that record's
    logit is driven up for ever. Targets are cut at 1 unless `above_one` asks for them as they were.
    """

    above_one: bool = False

    def real(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """See `AdversarialLoss.real`."""
        targets = _uniform(scores, REAL_TARGETS, generator)
        return binary_cross_entropy_with_logits(scores, targets if self.above_one else targets.clamp(max=1.0))

    def fake(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """See `AdversarialLoss.fake`."""
        return binary_cross_entropy_with_logits(scores, _uniform(scores, FAKE_TARGETS, generator))

    def deceive(self, scores: Tensor) -> Tensor:
        """See `AdversarialLoss.deceive`."""
        return binary_cross_entropy_with_logits(scores, torch.ones_like(scores))


@dataclass(frozen=True)
class CrossEntropy:
    """Cross entropy of scores of any shape as logits, with plain targets; nothing random (Isola et al., 2017).

    `sigmoid_twice` squashes scores before they are taken for logits, as the code of Kossen et al. (2023) does: the
    discriminator can never say that it is sure, and its loss stays above log(1 + 1/e) and log 2.
    """

    sigmoid_twice: bool = False

    def real(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """See `AdversarialLoss.real`."""
        return self.deceive(scores)

    def fake(self, scores: Tensor, generator: torch.Generator) -> Tensor:
        """See `AdversarialLoss.fake`."""
        return binary_cross_entropy_with_logits(self._logits(scores), torch.zeros_like(scores))

    def deceive(self, scores: Tensor) -> Tensor:
        """See `AdversarialLoss.deceive`."""
        return binary_cross_entropy_with_logits(self._logits(scores), torch.ones_like(scores))

    def _logits(self, scores: Tensor) -> Tensor:
        return torch.sigmoid(scores) if self.sigmoid_twice else scores


def _uniform(scores: Tensor, between: tuple[float, float], generator: torch.Generator) -> Tensor:
    low, high = between
    return (low + (high - low) * torch.rand(len(scores), generator=generator)).to(scores.device)
