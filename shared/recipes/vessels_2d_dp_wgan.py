"""Recipe `vessels-2d`, variant `dp-wgan`: the DP-WGAN of Kossen et al. (2022) with its own unit, the patch.

Only to reproduce that paper: its guarantee is for one patch of up to a thousand a patient gives, so sites
refuse it unless they allow it and nothing made with it can be published. RMSprop at 5e-5, critic weights
clipped to ±0.01, gradients to norm 1, five critic updates a generator step, no pre-training. Unlike the
paper's code, each critic update draws its patches afresh and the fake half of the loss carries no noise.

The paper pooled 41 patients of 1,000 patches at batch 32; here that batch is expected over all sites together.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from torch import nn
from torch.optim import RMSprop

from shared.imaging.scan import Scan
from shared.privacy.events import Unit
from shared.recipes.base import NONE
from shared.recipes.settings import Schedule, Setting
from shared.recipes.vessel_records import PATCHES, ROLES, VesselRecords, as_scans, records
from shared.recipes.vessels_2d_wgan import build, drawn
from shared.recipes.wasserstein import CriticPhase, Objective, WassersteinRecipe

_PAPER = Schedule(rounds=64_050, steps=5, sampling_rate=32 / 41_000, clip_norm=1.0, records=PATCHES["paper"])
_SMALL = Schedule(rounds=20, steps=5, sampling_rate=0.05, clip_norm=1.0, records=PATCHES["small"])


class PatchCriticPhase(CriticPhase):
    """The critic's phase with every patch a unit; without gradient penalty, which hooks cannot differentiate."""

    unit = Unit.PATCH


class VesselsDpWgan(WassersteinRecipe):
    """See the module."""

    name = "vessels-2d"
    variant = "dp-wgan"
    roles = ROLES

    def __init__(self, preset: str, *, private: bool, settings: Mapping[str, Setting] = NONE) -> None:
        super().__init__(preset, private=private, settings=settings)
        move = partial(RMSprop, lr=5e-5)
        mixed = self.schedule.mixed_precision
        self.objective = Objective(
            0.0, 0.01, move, move, generator_steps=1, generator_batch=32, mixed_precision=mixed
        )
        self.phase = PatchCriticPhase(self.objective)

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> Schedule:
        """See `Recipe.defaults`."""
        return _PAPER if preset == "paper" else _SMALL

    def records(self, scans: Sequence[Scan], seed: int) -> VesselRecords:
        """See `Recipe.records`."""
        return records(scans, self.preset, seed)

    def build(self, seed: int) -> nn.ModuleDict:
        """See `Recipe.build`."""
        return build(self.preset, seed)

    def sample(self, model: nn.ModuleDict, count: int, seed: int, source: str = "") -> Iterator[Scan]:
        """Yield generated patches."""
        return as_scans(drawn(model, count, seed))


RECIPES = (VesselsDpWgan,)
