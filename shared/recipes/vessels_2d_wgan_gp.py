"""Recipe `vessels-2d`, variants `wgan-gp` and `wgan-gp-sn`: 2D vessel patches of Kossen et al. (2021).

Wasserstein GANs with gradient penalty; the second has spectral norm in the critic in place of instance norm.
At paper size: Adam at 1e-4 with β = (0, 0.9), λ = 10, five critic updates a generator update, batches of 128
and 64 for 194 and 157 epochs of 41 patients with 1,000 patches each. The penalty interpolates between a
patient's patches and fakes, so it lies inside the private phase.

The published code takes one norm of the gradient over the whole batch (`as_published`: over a patient's
records), and makes its five critic updates on the same patches, where every update here draws afresh.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from torch import nn

from shared.imaging.patches import Patches, PatchPool, patient_patches
from shared.imaging.scan import Scan
from shared.models import vessel_gan as sizes
from shared.models.vessel_gan import VesselCritic, VesselGanSize, VesselGenerator
from shared.phantoms.vessels import simulate
from shared.recipes.vessel_gans import PATCHES_PER_PHANTOM, GanSchedule, VesselGanRecipe
from shared.recipes.vessel_records import EDGE, PATCHES, ROLES


class Vessels2dGan(VesselGanRecipe):
    """What the 2D variants share."""

    name = "vessels-2d"
    roles = ROLES
    phantoms = 300
    at_once = 64

    def pool(self, scans: Sequence[Scan], rng: np.random.Generator) -> PatchPool:
        """Return half the patches centred on arteries, half anywhere in the brain."""
        return patient_patches(scans, EDGE[self.preset], PATCHES[self.preset], rng)

    def simulate(self, theta: np.ndarray[tuple[int], np.dtype[np.float64]], rng: np.random.Generator) -> Patches:
        """See `VesselGanRecipe.simulate`."""
        return simulate(theta, PATCHES_PER_PHANTOM, EDGE[self.preset], rng)


class VesselsWganGp(Vessels2dGan):
    """See the module."""

    variant = "wgan-gp"
    # About the median norm of a patient's gradient on a small critic pre-trained on phantoms.
    clip_norm: ClassVar[float] = 40.0
    small: ClassVar[VesselGanSize] = sizes.GP_SMALL
    large: ClassVar[VesselGanSize] = sizes.GP_PAPER
    batch: ClassVar[int] = 128
    epochs: ClassVar[int] = 194
    rate: ClassVar[float] = 5e-4  # of the small critic; one with spectral norm moves more slowly
    generator_rate: ClassVar[float] = 5e-4

    @property
    def worse_than_public(self) -> str:
        """See `Recipe.worse_than_public`."""
        return "study kossen-ch4" if self.preset == "small" else ""

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> GanSchedule:
        """See `Recipe.defaults`."""
        if preset == "small":
            return GanSchedule(
                rounds=60,
                steps=10,
                sampling_rate=0.25,
                clip_norm=cls.clip_norm,
                records=8,
                critic_rate=cls.rate,
                generator_rate=cls.generator_rate,
                generator_steps=5,
                generator_batch=16,
                pretraining_steps=600,
            )
        return GanSchedule(
            rounds=cls.epochs * 41_000 // cls.batch,
            steps=5,
            sampling_rate=0.25,
            clip_norm=cls.clip_norm,
            records=round(cls.batch / (0.25 * 41)),
            critic_rate=1e-4,
            generator_rate=1e-4,
            generator_batch=cls.batch,
            as_published=preset == "published",
        )

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """See `VesselGanRecipe.networks`."""
        size = self.small if self.preset == "small" else self.large
        return VesselGenerator(size), VesselCritic(size)


class VesselsWganGpSn(VesselsWganGp):
    """See the module."""

    variant = "wgan-gp-sn"
    clip_norm = 100.0
    rate, generator_rate = 2e-3, 1e-3
    small = sizes.SN_SMALL
    large = sizes.SN_PAPER
    batch = 64
    epochs = 157


RECIPES = (VesselsWganGp, VesselsWganGpSn)
