"""Query `query-dice`: how well a given network finds the vessels of patients nobody trained on, noised."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from shared.evaluation.dice import dice
from shared.evaluation.segmentation import build_network, standardise
from shared.imaging.scan import Scan
from shared.recipes.base import NONE, Records, ReleasePhase
from shared.recipes.query import Answer, Query
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


class DiceQuery(Query):
    """See the module."""

    name = "query-dice"
    variant = "vessels-2d"
    roles = ROLES
    centre = CENTRE

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
        return nn.ModuleDict({"network": build_network(seed).eval(), "answer": Answer(DicePhase.size)})


RECIPES = (DiceQuery,)
