"""Recipe `vessels-2d`, variant `private`: a GAN made to bear the noise of patient-level privacy.

The generator is the public simulator, with a learnt distribution of its parameters; the critic is a small head
on frozen features that were learnt from public phantoms (`shared.models.simulator_gan`). Sites move the head by
its loss on patients, one noisy step a round with, by default, every patient in it. The coordinator adds the
loss on phantoms, which reads nobody, and moves the distribution towards what the critic takes for real. Sites
are sent no generator and need none.

Labels stay labels: whatever the noise does, pairs are drawn by the simulator.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from shared.imaging.scan import Scan
from shared.models.simulator_gan import ParameterDistribution, PatchFeatures, build_head
from shared.phantoms.vessels import NAMES, simulate
from shared.privacy.randomness import derive_seed
from shared.recipes.base import NONE, GradientPhase, Progress, Recipe
from shared.recipes.phantom_pool import PhantomPool, learn_features, thetas_of
from shared.recipes.settings import Schedule, Setting
from shared.recipes.vessel_records import EDGE, ROLES, VesselRecords, as_scans, records

# Effective share of the pool. Further from where it was drawn, the distribution would chase single phantoms.
WORN = 0.2  # below, it is drawn anew before the next round
WORN_OUT = 0.1  # below, the distribution waits for that
PATCHES_PER_PHANTOM = 2  # in a data set: more phantoms, fewer patches each, so that cases differ


class PrivateSchedule(Schedule):
    """Levers beside the schedule of the site phase."""

    hidden: int = Field(default=0, ge=0)  # units of the head's hidden layer; 0 for a linear head
    critic_rate: float = Field(default=0.02, gt=0)  # of plain descent, at sites and for the phantoms' half
    decay: float = Field(default=1.0, ge=0)  # weight of the head's squared weights
    generator_rate: float = Field(default=0.03, gt=0)  # of Adam
    generator_steps: int = Field(default=3, ge=1)  # a round
    spread: float = Field(default=0.03, ge=0)  # weight of the divergence from the public simulator
    phantoms: int = Field(default=1500, ge=10)  # in the pool that expectations are taken over
    feature_steps: int = Field(default=500, ge=1)


class HeadPhase(GradientPhase):
    """The sites move the head by what it says of patients."""

    reads = ("features", "head")
    moves = ("head",)

    def __init__(self, rate: float) -> None:
        self._rate = rate

    def optimizer(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        """See `GradientPhase.optimizer`."""
        return SGD(parameters, lr=self._rate)

    def patient_loss(self, model: nn.ModuleDict, records: Tensor, generator: torch.Generator) -> Tensor:
        """Return the mean of log(1 + exp(-score)) over one patient's records (Goodfellow et al., 2014)."""
        scores = model["head"](model["features"](records).float())
        return nn.functional.softplus(-scores).mean()


class VesselsPrivate(Recipe):
    """See the module."""

    name = "vessels-2d"
    variant = "private"
    roles = ROLES
    sources = ("simulator",)

    schedule: PrivateSchedule

    def __init__(self, preset: str, *, private: bool, settings: Mapping[str, Setting] = NONE) -> None:
        super().__init__(preset, private=private, settings=settings)
        self.phase = HeadPhase(self.schedule.critic_rate)
        self.pretraining = (
            f"features of {self.schedule.phantoms} phantoms of the public vessel simulator, "
            f"{self.schedule.feature_steps} steps"
        )

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> PrivateSchedule:
        """See `Recipe.defaults`. C is the median norm of a public phantom's first gradient."""
        plan = partial(PrivateSchedule, rounds=40, steps=1, sampling_rate=1.0, clip_norm=3.5)
        if preset == "paper":
            return plan(records=64, phantoms=6000, feature_steps=3000)
        return plan(records=16)

    def records(self, scans: Sequence[Scan], seed: int) -> VesselRecords:
        """See `Recipe.records`."""
        return records(scans, self.preset, seed)

    def build(self, seed: int) -> nn.ModuleDict:
        """See `Recipe.build`."""
        levers = self.schedule
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "weights"))
            return nn.ModuleDict(
                {
                    "features": PatchFeatures(),
                    "head": build_head(levers.hidden),
                    "distribution": ParameterDistribution(len(NAMES)),
                    "pool": PhantomPool(levers.phantoms, len(NAMES)),
                }
            )

    def pretrain(self, model: nn.ModuleDict, seed: int, progress: Progress) -> None:
        """Learn the features, and draw the first pool."""
        pool, features = _pool(model), _features(model)
        edge = EDGE[self.preset]
        patches = pool.renew(_distribution(model), edge, derive_seed(seed, "pool"), progress)
        learn_features(features, pool.points, patches, self.schedule.feature_steps, seed, progress)
        pool.look(features, patches)

    def coordinator_optimizer(self, model: nn.ModuleDict) -> Optimizer:
        """Return the optimiser of the distribution."""
        return Adam(model["distribution"].parameters(), lr=self.schedule.generator_rate, betas=(0.5, 0.99))

    def receive(self, model: nn.ModuleDict, average: Mapping[str, Tensor], noise_std: float) -> None:
        """Take the averaged head."""
        model.load_state_dict(average, strict=False)

    def coordinate(
        self, model: nn.ModuleDict, optimizer: Optimizer | None, seed: int, last: bool, progress: Progress
    ) -> None:
        """Move the head by the phantoms' half of its loss, then the distribution as far as the pool carries."""
        assert optimizer is not None
        pool, distribution, head = _pool(model), _distribution(model), model["head"]
        if pool.effective(distribution) < WORN:
            patches = pool.renew(distribution, EDGE[self.preset], seed, progress)
            pool.look(_features(model), patches)
        for _ in range(self.schedule.steps):
            self._answer(model)
        head.requires_grad_(False)
        distribution.requires_grad_(True)
        with torch.no_grad():
            scores = pool.scores(head).mean(1)
        for _ in range(self.schedule.generator_steps):
            if pool.effective(distribution) < WORN_OUT:
                break
            gain = (pool.shares(distribution) * scores).sum()
            loss = self.schedule.spread * pool.divergence(distribution) - gain
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            distribution.keep_within()

    def _answer(self, model: nn.ModuleDict) -> None:
        """Make one step of the head on phantoms as the distribution now weighs them."""
        pool, head = _pool(model), model["head"]
        head.requires_grad_(True)
        optimizer = SGD(head.parameters(), lr=self.schedule.critic_rate)
        with torch.no_grad():
            shares = pool.shares(_distribution(model))
        loss = (shares * nn.functional.softplus(pool.scores(head)).mean(1)).sum()
        loss = loss + self.schedule.decay * sum(p.square().sum() for p in head.parameters())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()

    def sample(self, model: nn.ModuleDict, count: int, seed: int, source: str = "") -> Iterator[Scan]:
        """Yield patches of the simulator with parameters from the learnt distribution."""
        return as_scans(self._simulated(model, count, seed))

    def _simulated(self, model: nn.ModuleDict, count: int, seed: int) -> Iterator[NDArray[np.float32]]:
        rng = np.random.default_rng(derive_seed(seed, "sample"))
        random = torch.Generator().manual_seed(derive_seed(seed, "parameters"))
        points = _distribution(model).draw(-(-count // PATCHES_PER_PHANTOM), random).cpu()
        for start, theta in zip(range(0, count, PATCHES_PER_PHANTOM), thetas_of(points), strict=True):
            yield from simulate(theta, min(PATCHES_PER_PHANTOM, count - start), EDGE[self.preset], rng)


def _pool(model: nn.ModuleDict) -> PhantomPool:
    pool = model["pool"]
    assert isinstance(pool, PhantomPool)
    return pool


def _features(model: nn.ModuleDict) -> PatchFeatures:
    features = model["features"]
    assert isinstance(features, PatchFeatures)
    return features


def _distribution(model: nn.ModuleDict) -> ParameterDistribution:
    distribution = model["distribution"]
    assert isinstance(distribution, ParameterDistribution)
    return distribution


RECIPES = (VesselsPrivate,)
