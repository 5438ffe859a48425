"""What recipes of translators from picture to picture share: levers, networks, pre-training, a running average."""

import copy
from abc import abstractmethod
from collections.abc import Mapping
from functools import partial
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam

from shared.device import Arithmetic
from shared.models.layers import build
from shared.privacy.randomness import derive_seed
from shared.recipes.base import NONE, Progress, Recipe, Records
from shared.recipes.settings import Schedule, Setting
from shared.recipes.translation import TranslationPhase
from shared.recipes.wasserstein import SMOOTHED, MakeOptimizer, smooth

EDGE = {"small": 64, "paper": 128, "published": 128}  # of slices, pixels


class TranslationSchedule(Schedule):
    """Levers beside the schedule of the site phase."""

    rate: float = Field(default=2e-4, gt=0)  # of Adam, for all networks
    momentum: float = Field(default=0.5, ge=0, lt=1)  # Adam's β₁
    reconstruction: float = Field(default=10.0, ge=0)  # λ, of the distance to a patient's image, or of cycles
    pretraining_steps: int = Field(default=0, ge=0)  # on public phantoms
    pretraining_rate: float = Field(default=1e-3, gt=0)  # of Adam
    pretraining_batch: int = Field(default=8, ge=1)  # slices


class TranslatorRecipe(Recipe):
    """Generator and discriminator, and the generator's running average, which is what draws."""

    phantoms: ClassVar[int]  # public ones made for pre-training
    simulator: ClassVar[str]  # that makes them

    schedule: TranslationSchedule
    phase: TranslationPhase

    def __init__(self, preset: str, *, private: bool, settings: Mapping[str, Setting] = NONE) -> None:
        super().__init__(preset, private=private, settings=settings)
        self.edge = EDGE[preset]
        self.phase = self.make_phase()
        if self.pretrains:
            steps = self.schedule.pretraining_steps
            self.pretraining = f"all networks on {self.phantoms} phantoms of the {self.simulator}, {steps} steps"

    @abstractmethod
    def make_phase(self) -> TranslationPhase:
        """Return what the sites do, as the schedule sets it."""

    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """Return the networks the sites move; their weights are drawn later."""

    @abstractmethod
    def phantom_records(self, seed: int) -> Records:
        """Return records of the public phantoms for pre-training, as of one patient."""

    @property
    def pretraining_phase(self) -> TranslationPhase:
        """What is done with public phantoms: what the sites do with patients."""
        return self.phase

    @property
    def pretrains(self) -> bool:
        """See `Recipe.pretrains`: a setting that asks for steps is enough."""
        return self.schedule.pretraining_steps > 0

    @property
    def move(self) -> MakeOptimizer:
        """How the sites move networks."""
        return self._adam(self.schedule.rate)

    def build(self, seed: int) -> nn.ModuleDict:
        """See `Recipe.build`."""
        random = torch.Generator().manual_seed(derive_seed(seed, "weights"))
        model = build(lambda: nn.ModuleDict(self.networks()), random)
        model[SMOOTHED] = copy.deepcopy(model["generator"])
        return model

    def pretrain(self, model: nn.ModuleDict, seed: int, progress: Progress) -> None:
        """Train all networks on public phantoms, whose family differs from hospitals' on purpose."""
        steps = self.schedule.pretraining_steps
        pool = self.phantom_records(derive_seed(seed, "phantoms"))
        random = torch.Generator().manual_seed(derive_seed(seed, "steps"))
        arithmetic = Arithmetic(next(model.parameters()).device, self.schedule.mixed_precision)
        phase = self.pretraining_phase
        moved = [p for name in phase.moves for p in model[name].parameters()]
        optimizer = self._adam(self.schedule.pretraining_rate)(moved)

        def loss() -> Tensor:
            drawn = pool.draw(self.schedule.pretraining_batch, random).to(arithmetic.where)
            return phase.patient_loss(model, drawn, random)

        model.requires_grad_(True)
        for step in range(steps):
            progress("pre-training on public phantoms", step, steps)
            arithmetic.descend(optimizer, loss)
            smooth(model)
        model["generator"].load_state_dict(model[SMOOTHED].state_dict())

    def receive(self, model: nn.ModuleDict, average: Mapping[str, Tensor], noise_std: float) -> None:
        """Take the averaged networks, and let the running average follow."""
        model.load_state_dict(average, strict=False)
        smooth(model, self.schedule.steps)

    def _adam(self, rate: float) -> MakeOptimizer:
        return partial(Adam, lr=rate, betas=(self.schedule.momentum, 0.999))
