"""What translators from picture to picture share at the sites: their losses.

A paired generator is told how far its image is from a patient's, and an unpaired one is told of patients by
both cycles, so generator and discriminator both read patients. The sites move them together: a patient has
one gradient, of which each part is that of one network's loss, clipped and noised as a whole. Nothing is left
that reads nobody.
"""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import l1_loss
from torch.optim import Optimizer

from shared.models.adversarial_loss import LEAST_SQUARES, AdversarialLoss
from shared.recipes.base import GradientPhase
from shared.recipes.wasserstein import MakeOptimizer

# A patient's records (n, ...) -> what is translated and what it should become, both (n, channels, edge, edge)
Split = Callable[[Tensor], tuple[Tensor, Tensor]]


class Translator(Protocol):
    """A network that draws pictures from pictures (n, channels, edge, edge)."""

    def draw(self, maps: Tensor, random: torch.Generator) -> Tensor:
        """Return as many pictures, each with its own random part, as in training."""
        ...

    def draw_volume(self, maps: Tensor, random: torch.Generator) -> Tensor:
        """Return the pictures of one volume, which have their random part in common."""
        ...


class TranslationPhase(GradientPhase):
    """The sites move all networks that translate and judge."""

    moves: tuple[str, ...] = ("generator", "discriminator")
    reads = moves

    def __init__(
        self,
        split: Split,
        reconstruction: float,
        make_optimizer: MakeOptimizer,
        adversarial: AdversarialLoss = LEAST_SQUARES,
    ) -> None:
        """Weigh the distance of images by `reconstruction`, λ; move by an optimiser made so."""
        self.split = split
        self.reconstruction = reconstruction
        self.adversarial = adversarial
        self._make_optimizer = make_optimizer

    def optimizer(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        """See `GradientPhase.optimizer`."""
        return self._make_optimizer(parameters)

    @abstractmethod
    def patient_loss(self, model: nn.ModuleDict, records: Tensor, generator: torch.Generator) -> Tensor:
        """Return the sum of all networks' losses, each of which moves one network alone."""

    def judgement(self, discriminator: nn.Module, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
        """Return the losses of a discriminator and of what drew `fake`; no gradient crosses between them.

        The discriminator's is halved, so that it learns more slowly (Isola et al., 2017).
        """
        told = self.adversarial
        of_real, of_fake = discriminator(real).float(), discriminator(fake.detach()).float()
        own = (told.real(of_real, random) + told.fake(of_fake, random)) / 2
        frozen = {name: weight.detach() for name, weight in discriminator.named_parameters()}
        return own + told.deceive(functional_call(discriminator, frozen, fake).float())


class PairedPhase(TranslationPhase):
    """The discriminator judges image and map together; images are compared with the patient's (Isola et al.)."""

    def patient_loss(self, model: nn.ModuleDict, records: Tensor, generator: torch.Generator) -> Tensor:
        """See `TranslationPhase.patient_loss`."""
        maps, images = self.split(records)
        drawn = translator(model, "generator").draw(maps, generator).float()
        real, fake = (torch.cat([maps, some], dim=1) for some in (images, drawn))
        judged = self.judgement(model["discriminator"], real, fake, generator)
        return judged + self.reconstruction * (self.counts(records) * (drawn - images).abs()).mean()

    def counts(self, records: Tensor) -> Tensor | float:
        """Return how much each pixel (n, 1, edge, edge) counts in the distance: here, all alike."""
        return 1.0


class CyclePhase(TranslationPhase):
    """Images and maps are translated there and back, and never compared with each other (Zhu et al., 2017).

    There is no identity loss: a map of 29 channels is no image (Platscher et al., 2020).
    """

    moves = ("generator", "discriminator", "labeller", "map_discriminator")
    reads = moves

    def patient_loss(self, model: nn.ModuleDict, records: Tensor, generator: torch.Generator) -> Tensor:
        """See `TranslationPhase.patient_loss`."""
        maps, images = self.split(records)
        drawing, labeller = translator(model, "generator"), translator(model, "labeller")
        drawn, labelled = drawing.draw(maps, generator).float(), labeller.draw(images, generator).float()
        judged = self.judgement(model["discriminator"], images, drawn, generator)
        judged = judged + self.judgement(model["map_discriminator"], maps, labelled, generator)
        images_again = drawing.draw(labelled, generator).float()
        maps_again = labeller.draw(drawn, generator).float()
        # Summed over classes, a pixel's map is off by 0 to 2, as its image is.
        cycles = l1_loss(images_again, images) + (maps_again - maps).abs().sum(dim=1).mean()
        return judged + self.reconstruction * cycles


def translator(model: nn.ModuleDict, name: str) -> Translator:
    """Return the network of that name, which must be a translator."""
    return cast(Translator, model[name])
