"""What all queries share: a release that is the answer, and nothing to draw from.

A query is a run whose release is its answer. Every site releases the noisy sum of one bounded vector a patient
through the door, once: it is reserved, charged and recorded like any training, and the un-noised figure exists
nowhere outside the site. The network, or the cases, that patients are measured with are the run's initial weights.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from shared.errors import PublicationRefused
from shared.imaging.scan import Scan
from shared.recipes.base import Recipe, ReleasePhase


class Answer(nn.Module):
    """The noised answer, as buffers, so that it lies in the checkpoint.

    Attributes:
        mean: (size,), the mean over all patients of what each contributes.
        noise_std: standard deviation of the noise on each coordinate of it.
    """

    mean: Tensor
    noise_std: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size, dtype=torch.float64))
        self.register_buffer("noise_std", torch.zeros((), dtype=torch.float64))


class Query(Recipe):
    """A recipe that measures.

    Its model holds an `Answer` under "answer". Patients contribute their vectors minus `centre`, which is public,
    so that the sum moves by less when one leaves.
    """

    sources = ()
    centre: ClassVar[float]

    phase: ReleasePhase

    def receive(self, model: nn.ModuleDict, average: Mapping[str, Tensor], noise_std: float) -> None:
        """Take in the answer: the mean over all patients, and the deviation of its noise."""
        answer = answer_of(model)
        answer.mean.copy_(average["statistics"].double() + self.centre)
        answer.noise_std.fill_(noise_std)

    def sample(self, model: nn.ModuleDict, count: int, seed: int, source: str = "") -> Iterator[Scan]:
        """Refuse: nothing was generated.

        Raises:
            PublicationRefused: always.
        """
        raise PublicationRefused("a query has an answer and no images; it is in answer.json of the run's folder")


def answer_of(model: nn.ModuleDict) -> Answer:
    """Return the part of the model that holds the answer."""
    answer = model["answer"]
    assert isinstance(answer, Answer)
    return answer
