"""Recipe `vessels-3d`: vessel volumes with labels by the 3D WGANs of Subramaniam et al. (2022).

Variants of the paper: `gp` has instance norm in the critic and a gradient penalty; `sn` spectral norm in place
of instance norm; `sn-mp` is `sn` in mixed precision, `c-sn-mp` the same with twice the filters. At paper size:
128 x 128 x 64 voxels, Adam at 4e-4 (critic) and 2e-4 (generator) with β = (0, 0.9), λ = 10, one update each,
batches of 4 for 100 epochs of 47 patients with 50 patches each. The published code takes one norm of the
gradient over the whole batch (`as_published`: over a patient's records).

`private`, the default, is for patients: a narrow critic with few weights to drown, pre-trained on public
phantoms, fewer and larger steps. Its critic has spectral norm: in short trials on phantoms that learnt tissue
and tubes, where instance norm, which takes a patch's own brightness away, still drew texture.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
from torch import nn

from shared.imaging.patches import Patches, PatchPool
from shared.imaging.patches_3d import patient_volumes
from shared.imaging.scan import Role, Scan
from shared.models import vessel_gan_3d as sizes
from shared.models.layers import CriticNorm
from shared.models.vessel_gan_3d import VesselCritic3d, VesselGan3dSize, VesselGenerator3d
from shared.phantoms.vessels import simulate_3d
from shared.recipes.vessel_gans import PATCHES_PER_PHANTOM, GanSchedule, VesselGanRecipe
from shared.recipes.wasserstein import SMOOTHED

VOLUMES = {"small": 24, "paper": 50, "published": 50}  # a patient: a grid, the rest centred on arteries
_PATIENTS, _BATCH, _EPOCHS = 47, 4, 100


class Vessels3dGp(VesselGanRecipe):
    """See the module."""

    name = "vessels-3d"
    variant = "gp"
    roles = (Role.ANGIO, Role.VESSELS)
    phantoms = 80
    at_once = 4
    small: ClassVar[VesselGan3dSize] = sizes.GP_SMALL
    large: ClassVar[VesselGan3dSize] = sizes.GP_PAPER
    mixed: ClassVar[bool] = False
    # About the median norm of a patient's gradient on the small critic of `sn` pre-trained on phantoms.
    clip_norm: ClassVar[float] = 50.0

    @property
    def worse_than_public(self) -> str:
        """See `Recipe.worse_than_public`."""
        return "study kossen-ch5" if self.preset == "small" else ""

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> GanSchedule:
        """See `Recipe.defaults`."""
        if preset == "small":
            return GanSchedule(
                rounds=60,
                steps=5,
                sampling_rate=0.25,
                clip_norm=cls.clip_norm,
                records=4,
                critic_rate=2e-3,
                generator_rate=5e-4,
                generator_steps=5,
                generator_batch=8,
                pretraining_steps=300,
                pretraining_critic_steps=2,
                mixed_precision=cls.mixed,
            )
        return GanSchedule(
            rounds=_EPOCHS * _PATIENTS * VOLUMES[preset] // _BATCH,
            steps=1,
            sampling_rate=_BATCH / _PATIENTS,
            clip_norm=cls.clip_norm,
            records=1,
            critic_rate=4e-4,
            generator_rate=2e-4,
            generator_batch=_BATCH,
            mixed_precision=cls.mixed,
            as_published=preset == "published",
        )

    @property
    def size(self) -> VesselGan3dSize:
        """The networks' widths at this preset."""
        return self.small if self.preset == "small" else self.large

    def build(self, seed: int) -> nn.ModuleDict:
        """See `Recipe.build`."""
        model = super().build(seed)
        for network in ("generator", SMOOTHED):
            generator = model[network]
            assert isinstance(generator, VesselGenerator3d)
            generator.start_dark()
        return model

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """See `VesselGanRecipe.networks`."""
        return VesselGenerator3d(self.size), VesselCritic3d(self.size)

    def pool(self, scans: Sequence[Scan], rng: np.random.Generator) -> PatchPool:
        """See `VesselGanRecipe.pool`."""
        return patient_volumes(scans, self.size.shape, VOLUMES[self.preset], rng)

    def simulate(self, theta: np.ndarray[tuple[int], np.dtype[np.float64]], rng: np.random.Generator) -> Patches:
        """See `VesselGanRecipe.simulate`."""
        return simulate_3d(theta, PATCHES_PER_PHANTOM, self.size.shape, rng)


class Vessels3dSn(Vessels3dGp):
    """See the module."""

    variant = "sn"
    small = sizes.SN_SMALL
    large = sizes.SN_PAPER


class Vessels3dSnMp(Vessels3dSn):
    """See the module."""

    variant = "sn-mp"
    mixed = True


class Vessels3dComplexSnMp(Vessels3dSnMp):
    """See the module."""

    variant = "c-sn-mp"
    small = sizes.COMPLEX_SMALL
    large = sizes.COMPLEX_PAPER


class Vessels3dPrivate(Vessels3dGp):
    """See the module."""

    variant = "private"
    is_default = True
    presets = ("small", "paper")
    small = replace(sizes.SN_SMALL, critic_width=32)
    large = replace(sizes.DP_PAPER, critic_width=64, critic_norm=CriticNorm.SPECTRAL)

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> GanSchedule:
        """See `Recipe.defaults`."""
        return GanSchedule(
            rounds=20,
            steps=5,
            sampling_rate=0.25,
            clip_norm=cls.clip_norm,
            records=8,
            critic_rate=2e-3 if preset == "small" else 4e-4,
            generator_rate=5e-4 if preset == "small" else 2e-4,
            generator_batch=8 if preset == "small" else _BATCH,
            pretraining_steps=600 if preset == "small" else 20_000,
            pretraining_critic_steps=2,
        )


RECIPES = (Vessels3dGp, Vessels3dSn, Vessels3dSnMp, Vessels3dComplexSnMp, Vessels3dPrivate)
