"""Recipe `vessels-2d`, variant `private`: a GAN made to bear the noise of patient-level privacy.

The generator is the public simulator, with a learnt distribution of its parameters; the critic is a linear head
on histograms of a patch (`shared.models.simulator_gan`). Sites move the head by its loss on patients, one noisy
step a round with, by default, a quarter of the patients in it. The coordinator adds the loss on phantoms, which
reads nobody, and moves the distribution towards what the critic takes for real. Sites are sent no generator and
need none.

In the last rounds the distribution stands still. A head that starts anew, on whitened histograms of what is drawn
from it, becomes the log ratio of the densities of real and drawn patches. Later rounds' heads weigh more in an
average; of the patches drawn for a data set, those it takes for phantoms are turned down (discriminator rejection
sampling; Azadi et al., 2019).

Labels stay labels: whatever the noise does, pairs are drawn by the simulator.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer

from shared.imaging.scan import Scan
from shared.imaging.vessel_statistics import STATISTICS_DIM, patch_histograms
from shared.models.simulator_gan import ParameterDistribution, PatchFeatures, average_heads, build_head, clear
from shared.phantoms.vessels import NAMES, simulate
from shared.privacy.randomness import derive_seed
from shared.recipes.base import NONE, GradientPhase, Progress, Recipe
from shared.recipes.phantom_pool import PhantomPool, thetas_of
from shared.recipes.settings import Schedule, Setting
from shared.recipes.vessel_records import EDGE, ROLES, VesselRecords, as_scans, records

# Effective share of the pool. Further from where it was drawn, the distribution would chase single phantoms.
WORN = 0.06  # below, it is drawn anew before the next round
WORN_OUT = 0.03  # below, the distribution waits for that
DRAWN = 6  # patches of a phantom, of which a data set takes those kept
ALWAYS_KEPT = 0.02  # share of patches drawn that the critic likes enough to keep in any case


class PrivateSchedule(Schedule):
    """Levers beside the schedule of the site phase."""

    moving: int = Field(default=20, ge=1)  # rounds after which the distribution stands still
    critic_rate: float = Field(default=0.1, gt=0)  # of plain descent, at sites and for the phantoms' half
    decay: float = Field(default=1.0, ge=0)  # weight of the head's squared weights
    components: int = Field(default=40, ge=1, le=STATISTICS_DIM)  # whitened, once the distribution stands still
    still_decay: float = Field(default=0.01, ge=0)  # as `decay`, from then on
    generator_rate: float = Field(default=0.03, gt=0)  # of Adam
    generator_steps: int = Field(default=10, ge=1)  # a round
    spread: float = Field(default=0.03, ge=0)  # weight of the divergence from the public simulator
    phantoms: int = Field(default=1000, ge=10)  # in the pool that expectations are taken over


class HistogramRecords:
    """One patient's patches as their histograms, counted once."""

    def __init__(self, patches: VesselRecords) -> None:
        self._histograms = torch.from_numpy(patch_histograms(patches.all()))

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return (count, STATISTICS_DIM): distinct patches while there are enough, zeros where there are none."""
        there = len(self._histograms)
        if not there:
            return self._histograms.new_zeros(count, self._histograms.shape[1])
        rows = [torch.randperm(there, generator=generator) for _ in range(-(-count // there))]
        return self._histograms[torch.cat(rows)[:count]]


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
        self.pretraining = f"the spread of histograms over {self.schedule.phantoms} public phantoms"

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> PrivateSchedule:
        """See `Recipe.defaults`. C is near the median norm of phantom patients' gradients in the first rounds."""
        plan = partial(PrivateSchedule, rounds=40, steps=1, sampling_rate=0.25, clip_norm=2.5, records=64)
        return plan(phantoms=6000) if preset == "paper" else plan()

    def records(self, scans: Sequence[Scan], seed: int) -> HistogramRecords:
        """See `Recipe.records`."""
        return HistogramRecords(records(scans, self.preset, seed))

    def build(self, seed: int) -> nn.ModuleDict:
        """See `Recipe.build`. Nothing is drawn: all start from what is public."""
        networks = {
            "features": PatchFeatures(),
            "head": build_head(),
            "chooser": build_head(),
            "distribution": ParameterDistribution(len(NAMES)),
        }
        return nn.ModuleDict({**networks, "pool": PhantomPool(self.schedule.phantoms, len(NAMES))})

    def pretrain(self, model: nn.ModuleDict, seed: int, progress: Progress) -> None:
        """Draw the first pool, and learn what is usual in it."""
        pool = _pool(model)
        pool.renew(_distribution(model), EDGE[self.preset], derive_seed(seed, "pool"), progress)
        _features(model).standardise(pool.histograms.flatten(0, 1))

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
        pool, distribution, moving = _pool(model), _distribution(model), self.schedule.moving
        is_moving = int(pool.rounds) < moving
        if is_moving and pool.effective(distribution) < WORN:
            pool.renew(distribution, EDGE[self.preset], seed, progress)
        decay = self.schedule.decay if is_moving else self.schedule.still_decay
        for _ in range(self.schedule.steps):
            self._answer(model, decay)
        if is_moving:
            self._move(model, optimizer)
        pool.rounds += 1
        if not is_moving:
            average_heads(_head(model, "chooser"), _head(model, "head"), int(pool.rounds) - moving)
        elif last:  # it never stood still: the head as it is has to choose
            _head(model, "chooser").load_state_dict(_head(model, "head").state_dict())
        elif int(pool.rounds) == moving:
            self._stand_still(model, seed, progress)

    def _stand_still(self, model: nn.ModuleDict, seed: int, progress: Progress) -> None:
        """Begin anew with a pool of what is now drawn, and a head that sees it whitened."""
        pool = _pool(model)
        pool.renew(_distribution(model), EDGE[self.preset], seed, progress, anywhere=0.0)
        _features(model).whiten(pool.histograms.flatten(0, 1), self.schedule.components)
        clear(_head(model, "head"))

    def _answer(self, model: nn.ModuleDict, decay: float) -> None:
        """Make one step of the head on phantoms as the distribution now weighs them."""
        pool, head = _pool(model), model["head"]
        head.requires_grad_(True)
        optimizer = SGD(head.parameters(), lr=self.schedule.critic_rate)
        with torch.no_grad():
            shares = pool.shares(_distribution(model))
        loss = (shares * nn.functional.softplus(pool.scores(model["features"], head)).mean(1)).sum()
        loss = loss + decay * sum(p.square().sum() for p in head.parameters())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()

    def _move(self, model: nn.ModuleDict, optimizer: Optimizer) -> None:
        """Move the distribution towards phantoms of high score."""
        pool, distribution = _pool(model), _distribution(model)
        distribution.requires_grad_(True)
        with torch.no_grad():
            scores = pool.scores(model["features"], model["head"]).mean(1)
        for _ in range(self.schedule.generator_steps):
            if pool.effective(distribution) < WORN_OUT:
                break
            gain = (pool.shares(distribution) * scores).sum()
            loss = self.schedule.spread * pool.divergence(distribution) - gain
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            distribution.keep_within()

    def sample(self, model: nn.ModuleDict, count: int, seed: int, source: str = "") -> Iterator[Scan]:
        """Yield patches of the simulator with parameters from the learnt distribution; the critic chooses."""
        return as_scans(islice(self._kept(model, seed), count))

    @torch.no_grad()
    def _kept(self, model: nn.ModuleDict, seed: int) -> Iterator[NDArray[np.float32]]:
        """Yield patches (2, edge, edge) without end."""
        rng = np.random.default_rng(derive_seed(seed, "sample"))
        random = torch.Generator().manual_seed(derive_seed(seed, "parameters"))
        features, head, distribution = model["features"], model["chooser"], _distribution(model)
        ceiling = _pool(model).scores(features, head).quantile(1 - ALWAYS_KEPT)
        while True:
            (theta,) = thetas_of(distribution.draw(1, random).cpu())
            patches = simulate(theta, DRAWN, EDGE[self.preset], rng)
            histograms = torch.from_numpy(patch_histograms(patches)).to(ceiling.device)
            odds = (head(features(histograms)).squeeze(-1) - ceiling).clamp_max(0).exp()
            yield from patches[rng.random(DRAWN) < odds.cpu().numpy()]


def _pool(model: nn.ModuleDict) -> PhantomPool:
    pool = model["pool"]
    assert isinstance(pool, PhantomPool)
    return pool


def _features(model: nn.ModuleDict) -> PatchFeatures:
    features = model["features"]
    assert isinstance(features, PatchFeatures)
    return features


def _head(model: nn.ModuleDict, name: str) -> nn.Linear:
    head = model[name]
    assert isinstance(head, nn.Linear)
    return head


def _distribution(model: nn.ModuleDict) -> ParameterDistribution:
    distribution = model["distribution"]
    assert isinstance(distribution, ParameterDistribution)
    return distribution


RECIPES = (VesselsPrivate,)
