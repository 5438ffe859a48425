"""What recipes with a critic share: the critic's phase at the sites, the generator's steps at the coordinator,
pre-training on public data. The critic is Wasserstein's (Arjovsky et al., 2017; Gulrajani et al., 2017) unless
a recipe's objective says otherwise.

The critic reads patients, so its real half and its gradient penalty (which interpolates towards real records)
go through the door, patient by patient. Its fake half and the generator's step read none: they are free.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from shared.device import Arithmetic
from shared.models.adversarial_loss import WASSERSTEIN, AdversarialLoss
from shared.models.gradient_penalty import gradient_penalty
from shared.recipes.base import GradientPhase, Progress, Recipe

PublicData = Callable[[int, torch.Generator], Tensor]  # count -> records from a public simulator
SMOOTHED = "smoothed"
DECAY = 0.99  # of the running average, a step

MakeOptimizer = Callable[[Sequence[nn.Parameter]], Optimizer]


@dataclass(frozen=True)
class Objective:
    """How the critic is kept Lipschitz, and how each side moves."""

    penalty: float  # λ of the gradient penalty; 0 for none
    weight_bound: float | None  # weights are clipped to ± this after each step; None for not
    critic_optimizer: MakeOptimizer
    generator_optimizer: MakeOptimizer
    generator_steps: int  # a round
    generator_batch: int
    fakes_with_patient: bool = False  # clip each patient's real records and as many fakes as one loss
    mixed_precision: bool = False
    loss: AdversarialLoss = WASSERSTEIN
    penalty_of_batch: bool = False  # one norm for all of a patient's records, as published code has it

    def networks(self, generator: nn.Module, critic: nn.Module) -> nn.ModuleDict:
        """Return the model: both networks, and the generator's running average, which is what is sampled."""
        return nn.ModuleDict({"generator": generator, "critic": critic, SMOOTHED: copy.deepcopy(generator)})


class CriticPhase(GradientPhase):
    """The sites move the critic against a generator that stands still for the round."""

    reads = ("generator", "critic")
    moves: tuple[str, ...] = ("critic",)

    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    def optimizer(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        """See `GradientPhase.optimizer`."""
        return self._objective.critic_optimizer(parameters)

    def patient_loss(self, model: nn.ModuleDict, records: Tensor, generator: torch.Generator) -> Tensor:
        """Return the loss of the real half and λ·penalty over one patient's records."""
        critic, objective = model["critic"], self._objective
        loss = objective.loss.real(critic(records).float(), generator)
        if not (objective.fakes_with_patient or objective.penalty):
            return loss
        fakes = _fakes(model, len(records), generator)
        if objective.fakes_with_patient:
            loss = loss + objective.loss.fake(critic(fakes).float(), generator)
        if objective.penalty:
            of_batch = objective.penalty_of_batch
            loss = loss + objective.penalty * gradient_penalty(
                critic, records, fakes, generator, of_batch=of_batch
            )
        return loss

    def public_loss(self, model: nn.ModuleDict, count: int, generator: torch.Generator) -> Tensor | None:
        """Return the loss of a fixed number of fakes, no patient. None where patients carry the fakes."""
        if self._objective.fakes_with_patient:
            return None
        scores: Tensor = model["critic"](_fakes(model, count, generator)).float()
        return self._objective.loss.fake(scores, generator)

    def project(self, model: nn.ModuleDict) -> None:
        """Clip the critic's weights where the objective says so."""
        bound = self._objective.weight_bound
        if bound is not None:
            with torch.no_grad():
                for parameter in model["critic"].parameters():
                    parameter.clamp_(-bound, bound)


class WassersteinRecipe(Recipe):
    """A recipe whose sites move a critic and whose coordinator follows with the generator."""

    objective: Objective

    def coordinator_optimizer(self, model: nn.ModuleDict) -> Optimizer | None:
        """Return the generator's optimiser."""
        return self.objective.generator_optimizer(list(model["generator"].parameters()))

    def receive(self, model: nn.ModuleDict, average: Mapping[str, Tensor], noise_std: float) -> None:
        """Take the averaged critic."""
        model.load_state_dict(average, strict=False)

    def coordinate(
        self, model: nn.ModuleDict, optimizer: Optimizer | None, seed: int, last: bool, progress: Progress
    ) -> None:
        """Move the generator."""
        assert optimizer is not None
        random = torch.Generator().manual_seed(seed)
        move_generator(model, optimizer, self.objective, random, self.objective.generator_steps)


def move_generator(
    model: nn.ModuleDict, optimizer: Optimizer, objective: Objective, generator: torch.Generator, steps: int
) -> None:
    """Make `steps` of the generator against the critic as it stands: post-processing, free."""
    model["critic"].requires_grad_(False)
    model["generator"].requires_grad_(True)
    arithmetic = _arithmetic(model, objective)

    def loss() -> Tensor:
        scores: Tensor = model["critic"](generate(model, objective.generator_batch, generator))
        return objective.loss.deceive(scores.float())

    for _ in range(steps):
        arithmetic.descend(optimizer, loss)
        smooth(model)


def pretrain(
    model: nn.ModuleDict,
    objective: Objective,
    data: PublicData,
    *,
    steps: int,
    critic_steps: int,
    seed: int,
    progress: Progress,
    label: str = "pre-training on public phantoms",
) -> None:
    """Train both networks on public data: each generator step follows `critic_steps` of the critic."""
    generator = torch.Generator().manual_seed(seed)
    phase = CriticPhase(objective)
    critic_optimizer = objective.critic_optimizer(list(model["critic"].parameters()))
    generator_optimizer = objective.generator_optimizer(list(model["generator"].parameters()))
    arithmetic = _arithmetic(model, objective)

    def critic_loss() -> Tensor:
        records = data(objective.generator_batch, generator).to(arithmetic.where)
        loss = phase.patient_loss(model, records, generator)
        fake_half = phase.public_loss(model, len(records), generator)
        return loss if fake_half is None else loss + fake_half

    for step in range(steps):
        progress(label, step, steps)
        model["critic"].requires_grad_(True)
        model["generator"].requires_grad_(False)
        for _ in range(critic_steps):
            arithmetic.descend(critic_optimizer, critic_loss)
            phase.project(model)
        move_generator(model, generator_optimizer, objective, generator, 1)
    model["generator"].load_state_dict(model[SMOOTHED].state_dict())
    progress(label, steps, steps)


def generate(model: nn.ModuleDict, count: int, generator: torch.Generator, network: str = "generator") -> Tensor:
    """Return `count` records of the model's generator, from latent noise drawn with `generator`."""
    drawing: _Drawing = model[network]  # type: ignore[assignment]  # every generator here can draw
    return drawing.draw(count, generator).float()


def smooth(model: nn.ModuleDict, steps: int = 1) -> None:
    """Let the running average follow the generator, which has made so many steps: single ones swing."""
    with torch.no_grad():
        for slow, now in zip(model[SMOOTHED].parameters(), model["generator"].parameters(), strict=True):
            slow.lerp_(now, 1 - DECAY**steps)


def _arithmetic(model: nn.ModuleDict, objective: Objective) -> Arithmetic:
    return Arithmetic(next(model.parameters()).device, objective.mixed_precision)


class _Drawing(Protocol):
    def draw(self, n: int, generator: torch.Generator) -> Tensor: ...


def _fakes(model: nn.ModuleDict, count: int, generator: torch.Generator) -> Tensor:
    with torch.no_grad():
        return generate(model, count, generator)
