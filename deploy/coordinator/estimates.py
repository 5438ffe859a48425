"""What a run will move, keep and take, from its recipe alone: no site is asked, no patient read. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from client.outbox import KEEP as ANSWERS_KEPT
from server.run.checkpoint import KEEP as CHECKPOINTS_KEPT
from shared.optimizer_state import save_state
from shared.recipes.base import GradientPhase, Recipe, sent_by_sites, sent_to_sites

FLOOR_SECONDS = 6.2  # a round that trains nothing: two sites over TLS on one machine, Flower 1.41
# Of all that a round sends down: SuperLink's database after 100 and 300 MB to each of two sites, Flower 1.41
DATABASE_SHARE = 1.05


@dataclass(frozen=True)
class Estimate:
    """Sizes in bytes, times in seconds. What a message adds around its arrays is left out: it is small."""

    rounds: int
    sites: int
    steps: int  # private steps a round
    sampling_rate: float
    trained: int  # parameters (or numbers of a statistic) that come back from each site
    down: int  # a round, to one site
    up: int  # a round, from one site
    state: int  # of the coordinator: networks and optimiser
    answer: int  # what a site keeps of a round: update and optimiser

    @property
    def total(self) -> int:
        """All that is moved."""
        return self.rounds * self.sites * (self.down + self.up)

    @property
    def centre_disk(self) -> int:
        """Checkpoints kept, and SuperLink's database, which does not shrink."""
        return CHECKPOINTS_KEPT * self.state + math.ceil(DATABASE_SHARE * self.sites * max(self.down, self.up))

    @property
    def site_disk(self) -> int:
        """Answers kept; Flower keeps nothing there but the app bundle."""
        return ANSWERS_KEPT * self.answer

    def transfer(self, site_mbit: float, centre_mbit: float) -> float:
        """Return the time a round's bytes take: those of one site over its link, of all over the centre's.

        Speeds are in 10^6 bit/s, the same both ways.
        """
        one = (self.down + self.up) * 8e-6
        return max(one / site_mbit, self.sites * one / centre_mbit)

    def training(self, patient_step: float, patients: int) -> float:
        """Return a round's private steps at a site of `patients`, at `patient_step` seconds a patient and step."""
        return patient_step * self.sampling_rate * patients * self.steps


def estimate(recipe: Recipe, *, rounds: int | None, sites: int) -> Estimate:
    """Return what a run of `recipe` moves and keeps; its own number of rounds where none is given."""
    model = recipe.build(0)
    shapes = sent_by_sites(recipe, model)
    trained = sum(math.prod(shape) for shape in shapes.values())
    state = _size(model.state_dict()) + _size(_stepped(recipe.coordinator_optimizer(model)))
    return Estimate(
        rounds=rounds or recipe.schedule.rounds,
        sites=sites,
        steps=recipe.schedule.steps,
        sampling_rate=recipe.schedule.sampling_rate,
        trained=trained,
        down=_size(sent_to_sites(recipe, model)),
        up=4 * trained,
        state=state,
        answer=4 * trained + _size(_site_optimizer(recipe, model)),
    )


def _size(arrays: Mapping[str, Tensor]) -> int:
    return sum(value.numel() * value.element_size() for value in arrays.values())


def _site_optimizer(recipe: Recipe, model: nn.ModuleDict) -> Mapping[str, Tensor]:
    if not isinstance(recipe.phase, GradientPhase):
        return {}
    moved = [p for name in recipe.phase.moves for p in model[name].parameters()]
    return _stepped(recipe.phase.optimizer(moved))


def _stepped(optimizer: torch.optim.Optimizer | None) -> Mapping[str, Tensor]:
    """Return the state an optimiser has once it has moved: it makes it at its first step."""
    if optimizer is None:
        return {}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return save_state(optimizer)
