"""Recipe `perfusion-2d`: perfusion maps from a raw bolus series, without an arterial input function.

Two translators of Kossen et al. (2023): `pix2pix`, to which the time points are channels, and `temp-pix2pix`,
which reads every pixel's curve before it looks around; and one of ours, `temp-pix2pix-fine`, in which what was
read of a pixel also goes past the U-Net, which blurs. Maps are those the sites have: a teacher's, which is the
paper's way, or a phantom's truth, with which a network can become better than any teacher. What the networks see
of a series is in `shared.imaging.perfusion.frames`, what their values mean in `shared.imaging.perfusion.windows`.

The setting `map` says which map is drawn: one, as in the paper, or `all` five from the same features. Presets:
`small` for a laptop, slices of 64 x 64; `paper` with the paper's widths and rates, slices of 128 x 128, batches of
4 out of 142 patients for 100 epochs; `published` is `paper` with what its code does otherwise and should not: a
sigmoid too many, and a U-Net of 16 channels behind the trunk (`as_published`). Not repeated: the code scales raw
signal by the lowest and highest of the whole training set, which would be a release, and keeps the first frames.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from shared.errors import CohortError
from shared.imaging.perfusion.baseline import find_baseline
from shared.imaging.perfusion.frames import FRAMES
from shared.imaging.perfusion.windows import MAPS
from shared.imaging.scan import Role, Scan
from shared.models import perfusion_unet
from shared.models.adversarial_loss import CrossEntropy
from shared.models.patch_discriminator import PatchDiscriminator
from shared.models.perfusion_unet import PUBLISHED, PerfusionUnet, TemporalTrunk
from shared.phantoms.dsc import simulate_patients
from shared.privacy.randomness import derive_seed
from shared.recipes.perfusion_records import ROLES, PerfusionRecords, draw_maps, records
from shared.recipes.translation import PairedPhase, Split
from shared.recipes.translator_recipe import TranslationSchedule, TranslatorRecipe
from shared.recipes.wasserstein import SMOOTHED, MakeOptimizer

# About the median norm of a phantom's gradient after pre-training small networks, at each preset's λ.
_CLIP_NORM = {"small": 30.0, "paper": 10.0, "published": 10.0}
_PATIENTS, _SLICES, _BATCH, _EPOCHS = 142, 21, 4, 100  # of the paper
_SIZES = {"small": perfusion_unet.SMALL, "paper": perfusion_unet.PAPER, "published": perfusion_unet.PAPER}
_JUDGES = {"small": 16, "paper": 64, "published": 64}  # channels of the discriminator's first layer


class PerfusionSchedule(TranslationSchedule):
    """Levers beside those of every translator."""

    map: Literal["all", "cbf", "cbv", "mtt", "tmax", "ttp"] = "all"
    fluid: float = Field(default=1.0, ge=0, le=1)  # how much a pixel without tissue counts in the distance
    as_published: bool = False  # with what the published code does otherwise and should not


class PerfusionPhase(PairedPhase):
    """A pixel without tissue may count less: what is 0 there by convention is no flow and no time.

    Beside fluid a network would otherwise draw times between the tissue's and 0.
    """

    def __init__(self, split: Split, levers: PerfusionSchedule, make_optimizer: MakeOptimizer) -> None:
        """Weigh as the levers say."""
        loss = CrossEntropy(sigmoid_twice=levers.as_published)
        super().__init__(split, levers.reconstruction, make_optimizer, loss)
        self.fluid = levers.fluid

    def counts(self, records: Tensor) -> Tensor:
        """See `PairedPhase.counts`; tissue is where there is a transit time."""
        tissue = records[:, [FRAMES + MAPS.index(Role.MTT)]] > -1
        return torch.where(tissue, 1.0, self.fluid)


class Perfusion(TranslatorRecipe):
    """One translator of frames, and its discriminator."""

    name = "perfusion-2d"
    roles = ROLES
    presets: ClassVar[tuple[str, ...]] = ("small", "paper", "published")
    phantoms = 40
    simulator = "public perfusion simulator"
    made = (
        "Series and brain masks are of public phantoms, which are nobody's; the generator drew the maps from each "
        "series. Nobody has corrected them by hand."
    )

    schedule: PerfusionSchedule

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> PerfusionSchedule:
        """See `Recipe.defaults`."""
        if preset == "small":
            return PerfusionSchedule(
                rounds=60,
                steps=10,
                sampling_rate=0.25,
                clip_norm=_CLIP_NORM[preset],
                records=4,
                rate=1e-4 if private else 1e-3,  # pre-trained networks bear little of the noise
                reconstruction=100.0,  # below some 25 most of a gradient is the discriminator's opinion
                pretraining_steps=300,
                fluid=0.1,
            )
        steps = 100
        return PerfusionSchedule(
            rounds=_EPOCHS * _PATIENTS * _SLICES // (_BATCH * steps),
            steps=steps,
            sampling_rate=_BATCH / _PATIENTS,
            clip_norm=_CLIP_NORM[preset],
            records=1,
            rate=1e-4,
            reconstruction=1.0,
            map="cbf",
            as_published=preset == "published",
        )

    @property
    def worse_than_public(self) -> str:
        """See `Recipe.worse_than_public`: nearer to the truth in CBF, further in TTP."""
        return "study kossen-ch7, TTP" if self.preset == "small" else ""

    @property
    def maps(self) -> tuple[Role, ...]:
        """What the generator draws, in the order of its channels."""
        return MAPS if self.schedule.map == "all" else (Role(self.schedule.map),)

    def make_phase(self) -> PerfusionPhase:
        """See `TranslatorRecipe.make_phase`."""
        return PerfusionPhase(self._frames_and_maps, self.schedule, self.move)

    def networks(self) -> dict[str, nn.Module]:
        """See `TranslatorRecipe.networks`."""
        width = _JUDGES[self.preset]
        judge = PatchDiscriminator(FRAMES + len(self.maps), (width, 2 * width), 4 * width)
        return {"generator": self.generator(), "discriminator": judge}

    def generator(self) -> PerfusionUnet:
        """Return the network that draws maps."""
        return PerfusionUnet(len(self.maps), _SIZES[self.preset].unet)

    def records(self, scans: Sequence[Scan], seed: int) -> PerfusionRecords:
        """See `Recipe.records`; all maps are kept, whichever are drawn."""
        return records(scans, self.edge)

    def phantom_records(self, seed: int) -> PerfusionRecords:
        """See `TranslatorRecipe.phantom_records`."""
        return records(self.cases(self.phantoms, seed), self.edge)

    def sample(self, model: nn.ModuleDict, count: int, seed: int, source: str = "") -> Iterator[Scan]:
        """Yield the series of public phantoms with the maps drawn of them."""
        for case in self.cases(count, derive_seed(seed, "cases")):
            kept = {role: case.volumes[role] for role in (Role.DSC, Role.BRAIN)}
            drawn = draw_maps(model[SMOOTHED], case, self.edge, self.maps)
            yield Scan(kept | drawn, case.affine, case.timing)

    def _frames_and_maps(self, slices: Tensor) -> tuple[Tensor, Tensor]:
        """Return frames and those maps that are drawn."""
        return slices[:, :FRAMES], slices[:, [FRAMES + MAPS.index(role) for role in self.maps]]

    def cases(self, count: int, seed: int) -> Iterator[Scan]:
        """Return public phantoms with their true maps; where a hospital could not use the series, another."""
        shape = (self.edge, self.edge, self.edge // 8)
        return islice(filter(_is_usable, simulate_patients(shape, np.random.default_rng(seed))), count)


def _is_usable(case: Scan) -> bool:
    """Return whether a baseline and a bolus are seen in a phantom's series."""
    try:
        find_baseline(case.volumes[Role.DSC][case.volumes[Role.BRAIN] > 0].mean(axis=0, dtype=np.float64))
    except CohortError:
        return False
    return True


class TimeAsChannels(Perfusion):
    """The U-Net alone."""

    variant = "pix2pix"


class TemporalConvolutions(Perfusion):
    """The U-Net behind convolutions along time."""

    variant = "temp-pix2pix"
    is_default = True
    fine: ClassVar[bool] = False  # see `PerfusionUnet`

    def generator(self) -> PerfusionUnet:
        """See `Perfusion.generator`."""
        size = _SIZES[self.preset]
        widths = PUBLISHED.unet if self.schedule.as_published else size.unet
        return PerfusionUnet(len(self.maps), widths, TemporalTrunk(size.trunk), fine=self.fine)


class FineMaps(TemporalConvolutions):
    """The same, with a way past the U-Net for what was read of a pixel; in no paper."""

    variant = "temp-pix2pix-fine"
    is_default = False
    presets: ClassVar[tuple[str, ...]] = ("small", "paper")
    fine = True


RECIPES = (TimeAsChannels, TemporalConvolutions, FineMaps)
