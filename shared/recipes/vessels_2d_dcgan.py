"""Recipe `vessels-2d`, variant `dcgan`: 2D vessel patches by the DCGAN of Kossen et al. (2021).

Cross entropy with smoothed targets, a discriminator that compares the records of a batch, here always of one
patient. At paper size: Adam at 3e-4 with β = (0.5, 0.999), batches of 512 for 178 epochs of 41 patients with
1,000 patches each.

The generator follows the averaged discriminator at the coordinator, which reads nobody and is free. The
published code (`as_published`) trains it by feature matching alone, each fake against a real patch it happens
to stand beside: that reads patients, so there the sites move both networks, through the door. Two in five of
its targets for real patches lie above 1. It steps the generator after the discriminator and not, as here,
together with it.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import l1_loss
from torch.optim import Optimizer

from shared.errors import UsageError
from shared.models.adversarial_loss import Logistic
from shared.models.vessel_discriminator import PAPER_HEAD, SMALL_HEAD, VesselDiscriminator
from shared.models.vessel_gan import DC_PAPER, DC_SMALL, VesselGenerator
from shared.recipes.base import NONE, Progress
from shared.recipes.settings import Setting
from shared.recipes.vessel_gans import GanSchedule
from shared.recipes.vessels_2d_wgan_gp import Vessels2dGan
from shared.recipes.wasserstein import SMOOTHED, CriticPhase, generate

_BATCH, _EPOCHS = 512, 178
_CLIP_NORM = 13.0  # median norm of a patient's gradient on a small discriminator pre-trained on phantoms
_MATCHING = 0.01  # weight of feature matching in the published code


class FeatureMatchingPhase(CriticPhase):
    """The sites move both networks: the generator's loss compares with a patient's features."""

    moves = ("generator", "critic")

    def patient_loss(self, model: nn.ModuleDict, records: Tensor, generator: torch.Generator) -> Tensor:
        """Return the sum of two losses, each of which moves one network."""
        critic, loss = model["critic"], self._objective.loss
        assert isinstance(critic, VesselDiscriminator)
        fakes = generate(model, len(records), generator)
        moved = loss.real(critic(records).float(), generator) + loss.fake(
            critic(fakes.detach()).float(), generator
        )
        frozen = {name: weight.detach() for name, weight in critic.layers.named_parameters()}
        real, fake = (functional_call(critic.layers, frozen, one).float() for one in (records, fakes))
        return moved + _MATCHING * l1_loss(fake, real)


class VesselsDcgan(Vessels2dGan):
    """See the module."""

    variant = "dcgan"

    def __init__(self, preset: str, *, private: bool, settings: Mapping[str, Setting] = NONE) -> None:
        super().__init__(preset, private=private, settings=settings)
        if self.schedule.penalty:  # a site would fail just where somebody is drawn
            raise UsageError("setting penalty: minibatch discrimination has no second derivative; leave it at 0")
        if self.schedule.as_published:
            self.phase = FeatureMatchingPhase(self.objective)

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
                clip_norm=_CLIP_NORM,
                records=8,
                critic_rate=5e-4,
                generator_rate=5e-4,
                momentum=0.5,
                second_momentum=0.999,
                penalty=0.0,
                generator_steps=10,
                generator_batch=16,
                pretraining_steps=400,
            )
        return GanSchedule(
            rounds=_EPOCHS * 41_000 // _BATCH,
            steps=1,
            sampling_rate=0.25,
            clip_norm=_CLIP_NORM,
            records=round(_BATCH / (0.25 * 41)),
            critic_rate=3e-4,
            generator_rate=3e-4,
            momentum=0.5,
            second_momentum=0.999,
            penalty=0.0,
            generator_batch=_BATCH,
            as_published=preset == "published",
        )

    def loss(self) -> Logistic:
        """See `VesselGanRecipe.loss`."""
        return Logistic(above_one=self.schedule.as_published)

    def networks(self) -> tuple[nn.Module, nn.Module]:
        """See `VesselGanRecipe.networks`."""
        size, head = (DC_SMALL, SMALL_HEAD) if self.preset == "small" else (DC_PAPER, PAPER_HEAD)
        return VesselGenerator(size), VesselDiscriminator(size, head)

    def coordinator_optimizer(self, model: nn.ModuleDict) -> Optimizer | None:
        """Return the generator's optimiser; None where the sites move it."""
        return None if self.schedule.as_published else super().coordinator_optimizer(model)

    def coordinate(
        self, model: nn.ModuleDict, optimizer: Optimizer | None, seed: int, last: bool, progress: Progress
    ) -> None:
        """Move the generator, or take it as the sites have moved it."""
        if self.schedule.as_published:
            model[SMOOTHED].load_state_dict(model["generator"].state_dict())
        else:
            super().coordinate(model, optimizer, seed, last, progress)


RECIPES = (VesselsDcgan,)
