"""What the vessel GANs of the papers share, in 2D and in 3D: levers, pre-training on public phantoms, sampling.

Presets: `small` for a laptop; `paper` with the sizes and rates the paper states; `published` is `paper` with
what its published code does otherwise and should not (`as_published`, see each variant). Patients take part
by chance in every step, so a batch of the paper is a sampling rate times patients times records a patient,
met for the paper's number of patients; its epochs are counted out in rounds.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam

from shared.imaging.patches import Patches, PatchPool
from shared.imaging.scan import Scan
from shared.models.adversarial_loss import WASSERSTEIN, AdversarialLoss
from shared.models.layers import build
from shared.phantoms.vessels import Thetas, draw_parameters
from shared.privacy.randomness import derive_seed
from shared.recipes.base import NONE, Progress
from shared.recipes.settings import Schedule, Setting
from shared.recipes.vessel_records import VesselRecords, as_scans
from shared.recipes.wasserstein import SMOOTHED, CriticPhase, Objective, WassersteinRecipe, generate, pretrain

PATCHES_PER_PHANTOM = 4


class GanSchedule(Schedule):
    """Levers of an adversarial recipe beside the schedule of its site phase."""

    critic_rate: float = Field(gt=0)  # of Adam
    generator_rate: float = Field(gt=0)
    momentum: float = Field(default=0.0, ge=0, lt=1)  # Adam's β₁
    second_momentum: float = Field(default=0.9, ge=0, lt=1)  # and β₂
    penalty: float = Field(default=10.0, ge=0)  # λ
    generator_steps: int = Field(default=1, ge=1)  # a round
    generator_batch: int = Field(ge=1)
    pretraining_steps: int = Field(default=0, ge=0)  # of the generator, on public phantoms
    pretraining_critic_steps: int = Field(default=1, ge=1)  # for each of these
    as_published: bool = False  # with what the published code does otherwise and should not


class VesselGanRecipe(WassersteinRecipe):
    """Image and label of vessels by generator and critic."""

    presets: ClassVar[tuple[str, ...]] = ("small", "paper", "published")
    phantoms: ClassVar[int]  # public ones made for pre-training
    at_once: ClassVar[int]  # cases drawn in one pass

    schedule: GanSchedule

    def __init__(self, preset: str, *, private: bool, settings: Mapping[str, Setting] = NONE) -> None:
        super().__init__(preset, private=private, settings=settings)
        levers = self.schedule
        betas = (levers.momentum, levers.second_momentum)
        self.objective = Objective(
            penalty=levers.penalty,
            weight_bound=None,
            critic_optimizer=partial(Adam, lr=levers.critic_rate, betas=betas),
            generator_optimizer=partial(Adam, lr=levers.generator_rate, betas=betas),
            generator_steps=levers.generator_steps,
            generator_batch=levers.generator_batch,
            fakes_with_patient=True,
            mixed_precision=levers.mixed_precision,
            loss=self.loss(),
            penalty_of_batch=levers.as_published,
        )
        self.phase = CriticPhase(self.objective)
        if levers.pretraining_steps:
            self.pretraining = (
                f"generator and critic on {self.phantoms} phantoms of the public vessel simulator, "
                f"{levers.pretraining_steps} steps"
            )

    @property
    def pretrains(self) -> bool:
        """See `Recipe.pretrains`: a setting that asks for steps is enough."""
        return self.schedule.pretraining_steps > 0

    def loss(self) -> AdversarialLoss:
        """Return what the networks are told of the critic's scores."""
        return WASSERSTEIN

    @abstractmethod
    def networks(self) -> tuple[nn.Module, nn.Module]:
        """Return generator and critic; their weights are drawn later."""

    @abstractmethod
    def pool(self, scans: Sequence[Scan], rng: np.random.Generator) -> PatchPool:
        """Return a patient's patches, each image scaled by itself alone."""

    @abstractmethod
    def simulate(self, theta: np.ndarray[tuple[int], np.dtype[np.float64]], rng: np.random.Generator) -> Patches:
        """Return `PATCHES_PER_PHANTOM` patches of a public phantom."""

    def records(self, scans: Sequence[Scan], seed: int) -> VesselRecords:
        """See `Recipe.records`."""
        return VesselRecords(self.pool(scans, np.random.default_rng(seed)))

    def build(self, seed: int) -> nn.ModuleDict:
        """See `Recipe.build`."""
        random = torch.Generator().manual_seed(derive_seed(seed, "weights"))
        networks = build(lambda: nn.ModuleList(self.networks()), random)
        return self.objective.networks(networks[0], networks[1])

    def pretrain(self, model: nn.ModuleDict, seed: int, progress: Progress) -> None:
        """Train both networks on public phantoms, whose family differs from hospitals' on purpose."""
        if not self.schedule.pretraining_steps:
            return
        thetas = draw_parameters(self.phantoms, np.random.default_rng(derive_seed(seed, "thetas")))
        pool = self._drawn_phantoms(thetas, derive_seed(seed, "phantoms"))
        pretrain(
            model,
            self.objective,
            lambda n, random: pool[torch.randint(len(pool), (n,), generator=random)],
            steps=self.schedule.pretraining_steps,
            critic_steps=self.schedule.pretraining_critic_steps,
            seed=seed,
            progress=progress,
        )

    def _drawn_phantoms(self, thetas: Thetas, seed: int) -> Tensor:
        rng = np.random.default_rng(seed)
        return torch.from_numpy(np.concatenate([self.simulate(theta, rng) for theta in thetas]))

    def sample(self, model: nn.ModuleDict, count: int, seed: int, source: str = "") -> Iterator[Scan]:
        """Yield generated patches."""
        random = torch.Generator().manual_seed(seed)
        for start in range(0, count, self.at_once):
            with torch.no_grad():
                drawn = generate(model, min(self.at_once, count - start), random, SMOOTHED)
            yield from as_scans(drawn.cpu().numpy())
