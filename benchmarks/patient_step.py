"""One critic step on the same records in three ways: plain, private by patient, and by Opacus' hooks.

* plain: one backward pass over all real records and fakes, one move of the optimiser;
* patient: `PatientOptimizer.private_step` with every patient drawn (q = 1), so that as many records count;
* hooks: Opacus' per-record gradients of the real half, clipped by record; fakes with the hooks disabled.
  Hooks cannot differentiate twice, so they are compared without gradient penalty.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn

from benchmarks.timing import Cost, in_turns
from shared.privacy.mechanism import PoissonSums
from shared.privacy.patient_sgd import PatientOptimizer
from shared.privacy.randomness import SystemRandomness
from shared.recipes.catalogue import load
from shared.recipes.wasserstein import CriticPhase

HOOKS_LIMIT = 2e9  # bytes of per-record gradients above which hooks are not tried


@dataclass(frozen=True)
class Setting:
    """A network and what it is shown in one step."""

    recipe: str
    variant: str
    preset: str
    record: tuple[int, ...]  # shape of one record: channels and space
    patients: int
    records: int  # of each patient
    penalty: bool  # the recipe's own loss; without, the mean scores of records and fakes are all of it
    turns: int

    @property
    def ways(self) -> list[str]:
        """The ways that can be compared here."""
        rows = self.patients * self.records
        size = sum(p.numel() for p in _critic(self).model["critic"].parameters())
        possible = not self.penalty and 4 * size * rows <= HOOKS_LIMIT
        return ["plain", "patient", *(["hooks"] if possible else [])]


_VESSELS = Setting("vessels-2d", "wgan", "small", (2, 64, 64), 8, 8, penalty=True, turns=12)
_LESIONS = Setting("lesions-3d", "wgan-gp", "small", (1, 32, 32, 32), 8, 2, penalty=True, turns=12)
QUICK = tuple(replace(s, penalty=p, turns=5) for s in (_VESSELS, _LESIONS) for p in (True, False))
SETTINGS = (  # records of a patient as in the recipes' schedules, and more, to show what they do
    _VESSELS,
    replace(_VESSELS, penalty=False),
    replace(_VESSELS, records=32, turns=5),
    _LESIONS,
    replace(_LESIONS, penalty=False),
    replace(_LESIONS, records=8, turns=5),
    Setting("vessels-2d", "wgan", "paper", (2, 96, 96), 2, 32, penalty=False, turns=2),
)


def compare(setting: Setting) -> dict[str, list[Cost]]:
    """Return each way's costs of one step."""
    return in_turns({way: step(setting, way) for way in setting.ways}, setting.turns)


def step(setting: Setting, way: str) -> Callable[[], None]:
    """Return a step that can be made again and again; each way has networks of its own."""
    critic = _critic(setting)
    return {"plain": critic.plain, "patient": critic.patient, "hooks": critic.hooks}[way]()


@dataclass
class _Critic:
    """A recipe's networks, its critic phase, and records that stand for patients' (contents do not matter)."""

    setting: Setting
    model: nn.ModuleDict
    phase: CriticPhase
    random: torch.Generator

    @property
    def parameters(self) -> list[nn.Parameter]:
        return list(self.model["critic"].parameters())

    @property
    def count(self) -> int:
        return self.setting.patients * self.setting.records

    def records(self) -> Tensor:
        """Return (patients, records, ...) values in [0, 1]."""
        shape = (self.setting.patients, self.setting.records, *self.setting.record)
        return torch.rand(shape, generator=self.random)

    def plain(self) -> Callable[[], None]:
        optimizer = self.phase.optimizer(self.parameters)
        records = self.records().flatten(0, 1)

        def one_step() -> None:
            loss = self.phase.patient_loss(self.model, records, self.random)
            fakes = self.phase.public_loss(self.model, self.count, self.random)
            loss = loss if fakes is None else loss + fakes
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            self.phase.project(self.model)

        return one_step

    def patient(self) -> Callable[[], None]:
        sums = PoissonSums(
            noise_multiplier=1.0,
            clip_norm=1.0,
            sampling_rate=1.0,
            units=self.setting.patients,
            randomness=SystemRandomness(),
        )
        optimizer = PatientOptimizer(self.phase.optimizer(self.parameters), sums)
        records = self.records()

        def loss_of(index: int) -> Tensor:
            return self.phase.patient_loss(self.model, records[index], self.random)

        def one_step() -> None:
            free = self.phase.public_loss(self.model, self.count, self.random)
            optimizer.private_step(loss_of, free)
            self.phase.project(self.model)

        return one_step

    def hooks(self) -> Callable[[], None]:
        critic = GradSampleModule(self.model["critic"])
        parameters = list(critic.parameters())
        optimizer = DPOptimizer(
            self.phase.optimizer(parameters),
            noise_multiplier=1.0,
            max_grad_norm=1.0,
            expected_batch_size=self.count,
        )
        records = self.records().flatten(0, 1)

        def one_step() -> None:
            optimizer.zero_grad()
            critic.enable_hooks()
            torch.autograd.backward(-critic(records).mean())
            critic.disable_hooks()
            fakes = self.phase.public_loss(self.model, self.count, self.random)
            assert fakes is not None
            free = torch.autograd.grad(fakes, parameters)
            optimizer.pre_step()
            for parameter, known in zip(parameters, free, strict=True):
                assert parameter.grad is not None
                parameter.grad += known
            optimizer.original_optimizer.step()
            self.phase.project(self.model)

        return one_step


def _critic(setting: Setting) -> _Critic:
    recipe = load(setting.recipe, setting.variant, setting.preset)
    assert isinstance(recipe.phase, CriticPhase)
    bare = replace(recipe.phase._objective, penalty=0.0, fakes_with_patient=False)
    phase = recipe.phase if setting.penalty else CriticPhase(bare)
    model = recipe.build(1)
    model["generator"].requires_grad_(False)
    return _Critic(setting, model, phase, torch.Generator().manual_seed(1))
