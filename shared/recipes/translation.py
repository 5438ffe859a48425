"""What translators from class maps to images share: their losses at the sites, and drawing a volume.

A paired generator is told how far its image is from a patient's, and an unpaired one is told of patients by
both cycles, so generator and discriminator both read patients. The sites move them together: a patient has
one gradient, of which each part is that of one network's loss, clipped and noised as a whole. Nothing is left
that reads nobody.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import l1_loss
from torch.optim import Optimizer

from shared.imaging.scan import Volume
from shared.imaging.slices import from_slices
from shared.models.adversarial_loss import LEAST_SQUARES
from shared.recipes.base import GradientPhase
from shared.recipes.slice_records import classes_of, one_hot
from shared.recipes.wasserstein import MakeOptimizer

_AT_ONCE = 16  # slices drawn in one pass


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

    def __init__(self, reconstruction: float, make_optimizer: MakeOptimizer) -> None:
        """Weigh the distance of images by `reconstruction`, λ; move by an optimiser made so."""
        self.reconstruction = reconstruction
        self._make_optimizer = make_optimizer

    def optimizer(self, parameters: Sequence[nn.Parameter]) -> Optimizer:
        """See `GradientPhase.optimizer`."""
        return self._make_optimizer(parameters)

    def patient_loss(self, model: nn.ModuleDict, records: Tensor, generator: torch.Generator) -> Tensor:
        """Return the sum of all networks' losses, each of which moves one network alone."""
        return self.loss(model, one_hot(records[:, 0]), records[:, 1:], generator)

    @abstractmethod
    def loss(self, model: nn.ModuleDict, maps: Tensor, images: Tensor, random: torch.Generator) -> Tensor:
        """Return the loss over one-hot maps (n, 29, edge, edge) and images (n, 1, edge, edge) in [-1, 1]."""


class PairedPhase(TranslationPhase):
    """The discriminator judges image and map together; images are compared with the patient's (Isola et al.)."""

    def loss(self, model: nn.ModuleDict, maps: Tensor, images: Tensor, random: torch.Generator) -> Tensor:
        """See `TranslationPhase.loss`."""
        drawn = _translator(model, "generator").draw(maps, random).float()
        real, fake = (torch.cat([maps, some], dim=1) for some in (images, drawn))
        judged = judgement(model["discriminator"], real, fake, random)
        return judged + self.reconstruction * l1_loss(drawn, images)


class CyclePhase(TranslationPhase):
    """Images and maps are translated there and back, and never compared with each other (Zhu et al., 2017).

    There is no identity loss: a map of 29 channels is no image (Platscher et al., 2020).
    """

    moves = ("generator", "discriminator", "labeller", "map_discriminator")
    reads = moves

    def loss(self, model: nn.ModuleDict, maps: Tensor, images: Tensor, random: torch.Generator) -> Tensor:
        """See `TranslationPhase.loss`."""
        generator, labeller = _translator(model, "generator"), _translator(model, "labeller")
        drawn, labelled = generator.draw(maps, random).float(), labeller.draw(images, random).float()
        judged = judgement(model["discriminator"], images, drawn, random)
        judged = judged + judgement(model["map_discriminator"], maps, labelled, random)
        images_again = generator.draw(labelled, random).float()
        maps_again = labeller.draw(drawn, random).float()
        # Summed over classes, a pixel's map is off by 0 to 2, as its image is.
        cycles = l1_loss(images_again, images) + (maps_again - maps).abs().sum(dim=1).mean()
        return judged + self.reconstruction * cycles


def judgement(discriminator: nn.Module, real: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
    """Return the losses of a discriminator and of what drew `fake`; no gradient crosses from one to the other.

    The discriminator's is halved, so that it learns more slowly (Isola et al., 2017).
    """
    of_real, of_fake = discriminator(real).float(), discriminator(fake.detach()).float()
    own = (LEAST_SQUARES.real(of_real, random) + LEAST_SQUARES.fake(of_fake, random)) / 2
    frozen = {name: weight.detach() for name, weight in discriminator.named_parameters()}
    return own + LEAST_SQUARES.deceive(functional_call(discriminator, frozen, fake).float())


def translate(
    generator: nn.Module, anatomy: NDArray[np.generic], lesion: NDArray[np.generic], edge: int, seed: int
) -> Volume:
    """Return the diffusion-weighted image (i, j, k) in [0, 1] that a generator draws of a map and lesion.

    Slices share what is random, so that they fit one another; those without brain or lesion stay black.

    Args:
        generator: a translator for slices of `edge` pixels a side.
        anatomy: (i, j, k), FreeSurfer numbers, k axial.
        lesion: (i, j, k), lesion where above 0.5.
        edge: see `generator`.
        seed: of the random part.

    Raises:
        CohortError: the map holds a label that is not known.
    """
    classes = torch.from_numpy(classes_of(anatomy, lesion, edge))
    where = next(generator.parameters()).device
    slices = torch.zeros(classes.shape)
    seen = classes.flatten(1).any(dim=1).nonzero()[:, 0]
    for some in torch.split(seen, _AT_ONCE):
        random = torch.Generator().manual_seed(seed)  # afresh, so that every pass draws the same
        with torch.no_grad():
            drawn = cast(Translator, generator).draw_volume(one_hot(classes[some]).to(where), random)
        slices[some] = (drawn[:, 0].float().cpu() + 1) / 2
    i, j, k = anatomy.shape
    return from_slices(slices.numpy(), (i, j, k))


def _translator(model: nn.ModuleDict, name: str) -> Translator:
    return cast(Translator, model[name])
