"""Query `query-dice`: how well a given network finds the vessels of patients nobody trained on, noised.

A query is a run whose release is its answer. Every site scores each of its patients with the network that the
coordinator sends, and releases the noisy sum of the scores through the door, once: it is reserved, charged
and recorded like any training, and the un-noised figure exists nowhere outside the site.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from shared.errors import PublicationRefused
from shared.evaluation.dice import dice
from shared.evaluation.segmentation import build_network, standardise
from shared.imaging.scan import Scan
from shared.recipes.base import NONE, Recipe, Records, ReleasePhase
from shared.recipes.settings import ReleaseSchedule, Setting
from shared.recipes.vessel_records import EDGE, ROLES, VesselRecords, records

CENTRE = 0.5  # of a score in [0, 1]: sums of (score - 1/2) move by half as much when a patient leaves


class DicePhase(ReleasePhase):
    """One score a patient."""

    reads = ("network",)
    size = 1

    @torch.no_grad()
    def statistic(self, records: Records, generator: torch.Generator, model: nn.ModuleDict) -> Tensor:
        """Return (1,): the Dice of the network on all patches of a patient, voxels pooled, minus 1/2."""
        assert isinstance(records, VesselRecords)
        patches = torch.from_numpy(records.all())
        found = model["network"](standardise(patches[:, :1])) > 0
        score = dice(found.numpy(), (patches[:, 1:] > 0).numpy())
        return torch.tensor([score - CENTRE])


class Answer(nn.Module):
    """The noised answer, as buffers, so that it lies in the checkpoint."""

    mean: Tensor
    noise_std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("noise_std", torch.zeros((), dtype=torch.float64))


class DiceQuery(Recipe):
    """See the module."""

    name = "query-dice"
    variant = "vessels-2d"
    roles = ROLES
    sources = ()

    def __init__(self, preset: str, *, private: bool, settings: Mapping[str, Setting] = NONE) -> None:
        super().__init__(preset, private=private, settings=settings)
        self.phase = DicePhase()
        self.edge = EDGE[preset]

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> ReleaseSchedule:
        """See `Recipe.defaults`."""
        return ReleaseSchedule(rounds=1, steps=1, sampling_rate=1.0, clip_norm=CENTRE)

    def records(self, scans: Sequence[Scan], seed: int) -> VesselRecords:
        """See `Recipe.records`."""
        return records(scans, self.preset, seed)

    def build(self, seed: int) -> nn.ModuleDict:
        """Return the network to be scored, untrained, and the place of the answer."""
        return nn.ModuleDict({"network": build_network(seed).eval(), "answer": Answer()})

    def receive(self, model: nn.ModuleDict, average: Mapping[str, Tensor], noise_std: float) -> None:
        """Take in the answer: the mean score over all patients, and the deviation of its noise."""
        answer = answer_of(model)
        answer.mean.copy_(average["statistics"][0].double() + CENTRE)
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


RECIPES = (DiceQuery,)
