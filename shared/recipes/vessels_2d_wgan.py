"""Recipe `vessels-2d`, variant `wgan`: the DP-WGAN of Kossen et al. (2022), with the patient as the unit.

At paper size it is the paper's: weights clipped to ±0.01, RMSprop at 5e-5, five critic steps a generator
step, but each on a fresh draw of patients. The small size has a gradient penalty and Adam, which learn more
in the few steps a laptop makes. Its noise is spread over every weight, so with few patients use
`private-calibrated`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Adam, RMSprop

from shared.imaging.scan import Scan
from shared.models.layers import initialise
from shared.models.vessel_gan import PAPER, SMALL, VesselCritic, VesselGenerator
from shared.phantoms.vessels import draw_parameters, simulate
from shared.privacy.randomness import derive_seed
from shared.recipes.base import NONE, Progress
from shared.recipes.settings import Schedule, Setting
from shared.recipes.vessel_records import EDGE, ROLES, VesselRecords, as_scans, records
from shared.recipes.wasserstein import SMOOTHED, CriticPhase, Objective, WassersteinRecipe, generate, pretrain

PHANTOMS = 150  # public phantoms made for pre-training, 16 patches each


def objective(preset: str) -> Objective:
    """Return how critic and generator move at one size."""
    if preset == "paper":
        move = partial(RMSprop, lr=5e-5)
        return Objective(0.0, 0.01, move, move, generator_steps=1, generator_batch=32)
    move_small = partial(Adam, lr=5e-4, betas=(0.0, 0.9))
    return Objective(10.0, None, move_small, move_small, generator_steps=2, generator_batch=16)


def build(preset: str, seed: int) -> nn.ModuleDict:
    """Return generator and critic with weights drawn from `seed`."""
    size = PAPER if preset == "paper" else SMALL
    networks = nn.ModuleDict({"generator": VesselGenerator(size), "critic": VesselCritic(size)})
    initialise(networks, torch.Generator().manual_seed(derive_seed(seed, "weights")))
    return objective(preset).networks(networks["generator"], networks["critic"])


def phantom_patches(thetas: np.ndarray[tuple[int, int], np.dtype[np.float64]], edge: int, seed: int) -> Tensor:
    """Return (16·n, 2, edge, edge) patches of the public simulator for n rows of parameters."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.concatenate([simulate(theta, 16, edge, rng) for theta in thetas]))


class VesselsWgan(WassersteinRecipe):
    """See the module."""

    name = "vessels-2d"
    variant = "wgan"
    roles = ROLES

    def __init__(self, preset: str, *, private: bool, settings: Mapping[str, Setting] = NONE) -> None:
        super().__init__(preset, private=private, settings=settings)
        self.objective = replace(objective(preset), mixed_precision=self.schedule.mixed_precision)
        self.phase = CriticPhase(self.objective)
        self._steps = 200 if preset == "small" else 2000
        self.pretraining = (
            f"generator and critic on {PHANTOMS} phantoms of the public vessel simulator, {self._steps} steps"
        )

    @property
    def worse_than_public(self) -> str:
        """See `Recipe.worse_than_public`; the same networks were measured with the patch as the unit."""
        return "study vessels-utility, row dp-wgan" if self.preset == "small" else ""

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> Schedule:
        """See `Recipe.defaults`."""
        if preset == "paper":
            return Schedule(rounds=64_050, steps=5, sampling_rate=0.25, clip_norm=1.0, records=32)
        return Schedule(rounds=30, steps=10, sampling_rate=0.25, clip_norm=1.0, records=8)

    def records(self, scans: Sequence[Scan], seed: int) -> VesselRecords:
        """See `Recipe.records`."""
        return records(scans, self.preset, seed)

    def build(self, seed: int) -> nn.ModuleDict:
        """See `Recipe.build`."""
        return build(self.preset, seed)

    def pretrain(self, model: nn.ModuleDict, seed: int, progress: Progress) -> None:
        """Train both networks on public phantoms, whose family differs from hospitals' on purpose."""
        thetas = draw_parameters(PHANTOMS, np.random.default_rng(derive_seed(seed, "thetas")))
        pool = phantom_patches(thetas, EDGE[self.preset], derive_seed(seed, "phantoms"))
        pretrain(
            model,
            self.objective,
            lambda n, random: pool[torch.randint(len(pool), (n,), generator=random)],
            steps=self._steps,
            critic_steps=1,
            seed=seed,
            progress=progress,
        )

    def sample(self, model: nn.ModuleDict, count: int, seed: int, source: str = "") -> Iterator[Scan]:
        """Yield generated patches."""
        return as_scans(drawn(model, count, seed))


def drawn(
    model: nn.ModuleDict, count: int, seed: int
) -> Iterator[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Yield `count` patches (2, edge, edge) of the model's generator."""
    random = torch.Generator().manual_seed(seed)
    for start in range(0, count, 64):
        with torch.no_grad():
            yield from generate(model, min(64, count - start), random, SMOOTHED).numpy()


RECIPES = (VesselsWgan,)
