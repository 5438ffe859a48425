"""Recipe `translate-2d`: axial diffusion-weighted slices drawn from maps of anatomy and lesion.

Three translators of Platscher et al. (2020): `pix2pix` (Isola et al., 2017), `spade` (Park et al., 2019) and
`cyclegan` (Zhu et al., 2017), which the paper found not to draw lesions. All have the paper's discriminator of
patches, and least squares, as its public code has (Mao et al., 2017). λ is the setting `reconstruction`: the
paper's are 10 and 100. Presets: `small` for a laptop, slices of 64 x 64; `paper` with the paper's widths and
rates, slices of 128 x 128, batches of 8 out of 2,392 patients for 100 epochs. Not repeated from the public
code: a discriminator that is told its fakes are real, and noise on what it sees.

What is published is drawn from public maps: a patient's own map must never be.
"""

import copy
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.optim import Adam

from shared.device import Arithmetic
from shared.imaging.anatomy import CLASSES
from shared.imaging.scan import Role, Scan
from shared.models import patch_discriminator, spade_translator, unet_translator
from shared.models.layers import build
from shared.models.patch_discriminator import PatchDiscriminator
from shared.models.spade_translator import SpadeTranslator
from shared.models.unet_translator import UnetTranslator
from shared.phantoms.dwi import simulate_patients
from shared.privacy.randomness import derive_seed
from shared.recipes.base import NONE, Progress, Recipe
from shared.recipes.settings import Schedule, Setting
from shared.recipes.slice_records import ROLES, SliceRecords, records
from shared.recipes.translation import CyclePhase, PairedPhase, TranslationPhase, translate
from shared.recipes.wasserstein import SMOOTHED, MakeOptimizer, smooth

EDGE = {"small": 64, "paper": 128}  # pixels
PHANTOMS = 40  # public ones made for pre-training
_CLIP_NORM = 5.0  # of a phantom's gradient, small networks pre-trained, the median is 5.5 (pix2pix), 7.6 (spade)
_PATIENTS, _SLICES, _BATCH, _EPOCHS = 2392, 32, 8, 100  # of the paper


class TranslationSchedule(Schedule):
    """Levers beside the schedule of the site phase."""

    rate: float = Field(default=2e-4, gt=0)  # of Adam, for all networks
    momentum: float = Field(default=0.5, ge=0, lt=1)  # Adam's β₁
    reconstruction: float = Field(default=10.0, ge=0)  # λ, of the distance to a patient's image, or of cycles
    pretraining_steps: int = Field(default=0, ge=0)  # on public phantoms
    pretraining_rate: float = Field(default=1e-3, gt=0)  # of Adam
    pretraining_batch: int = Field(default=8, ge=1)  # slices


class Translation(Recipe):
    """One translator, its discriminator, and the generator's running average, which is what draws."""

    name = "translate-2d"
    roles = ROLES
    phase_of: ClassVar[type[TranslationPhase]] = PairedPhase

    schedule: TranslationSchedule
    phase: TranslationPhase

    def __init__(self, preset: str, *, private: bool, settings: Mapping[str, Setting] = NONE) -> None:
        super().__init__(preset, private=private, settings=settings)
        levers = self.schedule
        self.edge = EDGE[preset]
        self.phase = self.phase_of(levers.reconstruction, self._adam(levers.rate))
        if self.pretrains:
            self.pretraining = (
                f"all networks on {PHANTOMS} phantoms of the public stroke simulator, "
                f"{levers.pretraining_steps} steps"
            )

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> TranslationSchedule:
        """See `Recipe.defaults`."""
        if preset == "small":
            return TranslationSchedule(
                rounds=60,
                steps=10,
                sampling_rate=0.25,
                clip_norm=_CLIP_NORM,
                records=4,
                rate=1e-4 if private else 1e-3,  # pre-trained networks bear little of the noise
                pretraining_steps=300,
            )
        steps = 100
        return TranslationSchedule(
            rounds=_EPOCHS * _PATIENTS * _SLICES // (_BATCH * steps),
            steps=steps,
            sampling_rate=_BATCH / _PATIENTS,
            clip_norm=_CLIP_NORM,
            records=1,
        )

    @property
    def pretrains(self) -> bool:
        """See `Recipe.pretrains`: a setting that asks for steps is enough."""
        return self.schedule.pretraining_steps > 0

    @abstractmethod
    def networks(self) -> dict[str, nn.Module]:
        """Return the networks the sites move; their weights are drawn later."""

    def records(self, scans: Sequence[Scan], seed: int) -> SliceRecords:
        """See `Recipe.records`."""
        return records(scans, self.edge)

    def build(self, seed: int) -> nn.ModuleDict:
        """See `Recipe.build`."""
        random = torch.Generator().manual_seed(derive_seed(seed, "weights"))
        model = build(lambda: nn.ModuleDict(self.networks()), random)
        model[SMOOTHED] = copy.deepcopy(model["generator"])
        return model

    def pretrain(self, model: nn.ModuleDict, seed: int, progress: Progress) -> None:
        """Train all networks on public phantoms, whose family differs from hospitals' on purpose."""
        steps = self.schedule.pretraining_steps
        pool = records(list(self._cases(PHANTOMS, derive_seed(seed, "phantoms"))), self.edge)
        random = torch.Generator().manual_seed(derive_seed(seed, "steps"))
        arithmetic = Arithmetic(next(model.parameters()).device, self.schedule.mixed_precision)
        moved = [p for name in self.phase.moves for p in model[name].parameters()]
        optimizer = self._adam(self.schedule.pretraining_rate)(moved)

        def loss() -> Tensor:
            drawn = pool.draw(self.schedule.pretraining_batch, random).to(arithmetic.where)
            return self.phase.patient_loss(model, drawn, random)

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

    def sample(self, model: nn.ModuleDict, count: int, seed: int, source: str = "") -> Iterator[Scan]:
        """Yield volumes drawn from the maps and lesions of public phantoms, with these maps and lesions."""
        for number, case in enumerate(self._cases(count, derive_seed(seed, "cases"))):
            anatomy, lesion = case.volumes[Role.ANATOMY], case.volumes[Role.LESION]
            drawn = translate(model[SMOOTHED], anatomy, lesion, self.edge, derive_seed(seed, "slices", number))
            yield Scan({Role.DWI: drawn, Role.ANATOMY: anatomy, Role.LESION: lesion}, case.affine)

    def _adam(self, rate: float) -> MakeOptimizer:
        return partial(Adam, lr=rate, betas=(self.schedule.momentum, 0.999))

    def _cases(self, count: int, seed: int) -> Iterator[Scan]:
        """Return public phantoms of the network's size."""
        shape = (self.edge, self.edge, self.edge // 4)
        return islice(simulate_patients(shape, np.random.default_rng(seed)), count)


class Pix2Pix(Translation):
    """A U-Net under the discriminator and the distance to the patient's image."""

    variant = "pix2pix"
    is_default = True

    def networks(self) -> dict[str, nn.Module]:
        """See `Translation.networks`."""
        return {"generator": UnetTranslator(_UNET[self.preset]), "discriminator": _judge(self.preset, CLASSES + 1)}


class Spade(Translation):
    """Noise normalised by the map, with the losses of pix2pix."""

    variant = "spade"

    def networks(self) -> dict[str, nn.Module]:
        """See `Translation.networks`."""
        generator = SpadeTranslator(_SPADE[self.preset])
        return {"generator": generator, "discriminator": _judge(self.preset, CLASSES + 1)}


class CycleGan(Translation):
    """Two U-Nets, there and back, each with a discriminator."""

    variant = "cyclegan"
    phase_of = CyclePhase

    def networks(self) -> dict[str, nn.Module]:
        """See `Translation.networks`."""
        size = _UNET[self.preset]
        return {
            "generator": UnetTranslator(size),
            "discriminator": _judge(self.preset, 1),
            "labeller": UnetTranslator(size, (1, CLASSES)),
            "map_discriminator": _judge(self.preset, CLASSES),
        }


_UNET = {"small": unet_translator.SMALL, "paper": unet_translator.PAPER}
_SPADE = {"small": spade_translator.SMALL, "paper": spade_translator.PAPER}
_WIDTHS = {"small": patch_discriminator.SMALL_WIDTHS, "paper": patch_discriminator.PAPER_WIDTHS}


def _judge(preset: str, channels: int) -> PatchDiscriminator:
    return PatchDiscriminator(channels, _WIDTHS[preset])


RECIPES = (Pix2Pix, Spade, CycleGan)
