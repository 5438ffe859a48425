"""Recipe `translate-2d`: axial diffusion-weighted slices drawn from maps of anatomy and lesion.

Three translators of Platscher et al. (2020): `pix2pix` (Isola et al., 2017), `spade` (Park et al., 2019) and
`cyclegan` (Zhu et al., 2017), which the paper found not to draw lesions. All have the paper's discriminator of
patches, and least squares, as its public code has (Mao et al., 2017). λ is the setting `reconstruction`: the
paper's are 10 and 100. Presets: `small` for a laptop, slices of 64 x 64; `paper` with the paper's widths and
rates, slices of 128 x 128, batches of 8 out of 2,392 patients for 100 epochs. Not repeated from the public
code: a discriminator that is told its fakes are real, and noise on what it sees.

What is published is drawn from public maps: a patient's own map must never be.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import ClassVar

import numpy as np
from torch import Tensor, nn

from shared.imaging.anatomy import CLASSES
from shared.imaging.scan import Role, Scan
from shared.models import patch_discriminator, spade_translator, unet_translator
from shared.models.patch_discriminator import PatchDiscriminator
from shared.models.spade_translator import SpadeTranslator
from shared.models.unet_translator import UnetTranslator
from shared.phantoms.dwi import simulate_patients
from shared.privacy.randomness import derive_seed
from shared.recipes.drawn_dwi import translate
from shared.recipes.slice_records import ROLES, SliceRecords, one_hot, records
from shared.recipes.translation import CyclePhase, PairedPhase, TranslationPhase
from shared.recipes.translator_recipe import TranslationSchedule, TranslatorRecipe
from shared.recipes.wasserstein import SMOOTHED

_CLIP_NORM = 5.0  # of a phantom's gradient, small networks pre-trained, the median is 5.5 (pix2pix), 7.6 (spade)
_PATIENTS, _SLICES, _BATCH, _EPOCHS = 2392, 32, 8, 100  # of the paper


class Translation(TranslatorRecipe):
    """One translator of maps, and its discriminator."""

    name = "translate-2d"
    roles = ROLES
    phantoms = 40
    simulator = "public stroke simulator"
    phase_of: ClassVar[type[TranslationPhase]] = PairedPhase

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

    def make_phase(self) -> TranslationPhase:
        """See `TranslatorRecipe.make_phase`."""
        return self.phase_of(_maps_and_images, self.schedule.reconstruction, self.move)

    def records(self, scans: Sequence[Scan], seed: int) -> SliceRecords:
        """See `Recipe.records`."""
        return records(scans, self.edge)

    def phantom_records(self, seed: int) -> SliceRecords:
        """See `TranslatorRecipe.phantom_records`."""
        return records(list(self._cases(self.phantoms, seed)), self.edge)

    def sample(self, model: nn.ModuleDict, count: int, seed: int, source: str = "") -> Iterator[Scan]:
        """Yield volumes drawn from the maps and lesions of public phantoms, with these maps and lesions."""
        for number, case in enumerate(self._cases(count, derive_seed(seed, "cases"))):
            anatomy, lesion = case.volumes[Role.ANATOMY], case.volumes[Role.LESION]
            drawn = translate(model[SMOOTHED], anatomy, lesion, self.edge, derive_seed(seed, "slices", number))
            yield Scan({Role.DWI: drawn, Role.ANATOMY: anatomy, Role.LESION: lesion}, case.affine)

    def _cases(self, count: int, seed: int) -> Iterator[Scan]:
        """Return public phantoms of the network's size."""
        shape = (self.edge, self.edge, self.edge // 4)
        return islice(simulate_patients(shape, np.random.default_rng(seed)), count)


class Pix2Pix(Translation):
    """A U-Net under the discriminator and the distance to the patient's image."""

    variant = "pix2pix"
    is_default = True

    def networks(self) -> dict[str, nn.Module]:
        """See `TranslatorRecipe.networks`."""
        return {"generator": UnetTranslator(_UNET[self.preset]), "discriminator": _judge(self.preset, CLASSES + 1)}


class Spade(Translation):
    """Noise normalised by the map, with the losses of pix2pix."""

    variant = "spade"

    def networks(self) -> dict[str, nn.Module]:
        """See `TranslatorRecipe.networks`."""
        generator = SpadeTranslator(_SPADE[self.preset])
        return {"generator": generator, "discriminator": _judge(self.preset, CLASSES + 1)}


class CycleGan(Translation):
    """Two U-Nets, there and back, each with a discriminator."""

    variant = "cyclegan"
    phase_of = CyclePhase

    def networks(self) -> dict[str, nn.Module]:
        """See `TranslatorRecipe.networks`."""
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


def _maps_and_images(records: Tensor) -> tuple[Tensor, Tensor]:
    """Return one-hot maps (n, 29, edge, edge) and images (n, 1, edge, edge) in [-1, 1]."""
    return one_hot(records[:, 0]), records[:, 1:]


def _judge(preset: str, channels: int) -> PatchDiscriminator:
    return PatchDiscriminator(channels, _WIDTHS[preset])


RECIPES = (Pix2Pix, Spade, CycleGan)
