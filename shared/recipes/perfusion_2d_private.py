"""Recipe `perfusion-2d`, variant `private`: a network of public phantoms, of which the sites move 165 weights.

It is `temp-pix2pix-fine`, trained on public phantoms as a whole. The sites then move only what leads past its
U-Net: a weight for each map and feature of a pixel's curve, and a bias for each map. Noise grows with the number
of weights that are moved; how curves become maps at these hospitals takes few. Sites have no discriminator.
"""

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from shared.models.perfusion_unet import PerfusionUnet
from shared.recipes.base import Progress
from shared.recipes.perfusion_2d import FineMaps, PerfusionPhase, PerfusionSchedule
from shared.recipes.translation import TranslationPhase
from shared.recipes.wasserstein import smooth

_FOLLOWS = 10  # steps that the running average takes one of these for: there are few


class PastPhase(PerfusionPhase):
    """The sites move what leads past the U-Net, by the distance to a patient's maps alone."""

    moves = ("past",)
    reads = ("generator", "past")

    def patient_loss(self, model: nn.ModuleDict, records: Tensor, generator: torch.Generator) -> Tensor:
        """See `TranslationPhase.patient_loss`."""
        frames, maps = self.split(records)
        past: dict[str, Tensor] = {f"past.{name}": weight for name, weight in model["past"].named_parameters()}
        drawn: Tensor = functional_call(model["generator"], past, frames).float()
        return self.reconstruction * (self.counts(records) * (drawn - maps).abs()).mean()


class FewWeights(FineMaps):
    """See the module."""

    variant = "private"
    presets = ("small",)

    @classmethod
    def defaults(cls, preset: str, *, private: bool) -> PerfusionSchedule:
        """See `Recipe.defaults`; chosen on validation patients of phantom hospitals (`docs/perfusion.md`)."""
        few = {"rounds": 30, "steps": 1, "sampling_rate": 0.5, "clip_norm": 5.0, "rate": 0.01}
        return super().defaults(preset, private=private).model_copy(update=few)

    @property
    def worse_than_public(self) -> str:
        """See `Recipe.worse_than_public`: study kossen-ch7 has it nearer in CBF and CBV, and in no map further."""
        return ""

    @property
    def pretraining_phase(self) -> TranslationPhase:
        """See `TranslatorRecipe.pretraining_phase`: as a whole, with a discriminator."""
        return super().make_phase()

    def make_phase(self) -> PastPhase:
        """See `TranslatorRecipe.make_phase`."""
        return PastPhase(self._frames_and_maps, self.schedule, self.move)

    def build(self, seed: int) -> nn.ModuleDict:
        """See `Recipe.build`."""
        model = super().build(seed)
        model["past"] = copy.deepcopy(_past(model))
        return model

    def pretrain(self, model: nn.ModuleDict, seed: int, progress: Progress) -> None:
        """See `Recipe.pretrain`."""
        super().pretrain(model, seed, progress)
        model["past"].load_state_dict(_past(model).state_dict())

    def receive(self, model: nn.ModuleDict, average: Mapping[str, Tensor], noise_std: float) -> None:
        """Take the averaged weights into the generator, and let the running average follow."""
        model.load_state_dict(average, strict=False)
        _past(model).load_state_dict(model["past"].state_dict())
        smooth(model, _FOLLOWS * self.schedule.steps)


def _past(model: nn.ModuleDict) -> nn.Conv2d:
    generator = model["generator"]
    assert isinstance(generator, PerfusionUnet)
    assert generator.past is not None
    return generator.past


RECIPES = (FewWeights,)
