"""Translators at the sites: each network moved by its own loss, both clipped as one, whole volumes."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from shared.errors import CohortError
from shared.imaging.anatomy import LESION_CLASS
from shared.imaging.scan import Role, Scan
from shared.models.patch_discriminator import PatchDiscriminator
from shared.models.unet_translator import UnetSize, UnetTranslator
from shared.privacy.mechanism import PoissonSums
from shared.privacy.patient_sgd import PatientOptimizer
from shared.privacy.randomness import SystemRandomness
from shared.recipes.base import Recipe
from shared.recipes.catalogue import load
from shared.recipes.drawn_dwi import translate
from shared.recipes.slice_records import SliceRecords, one_hot, records
from shared.recipes.translate_2d import Translation
from shared.recipes.translation import TranslationPhase
from shared.recipes.wasserstein import SMOOTHED

VARIANTS = ("pix2pix", "spade", "cyclegan")
JUDGES = {"pix2pix": ("discriminator",), "cyclegan": ("discriminator", "map_discriminator")}
DRAWERS = {"pix2pix": ("generator",), "cyclegan": ("generator", "labeller")}
LAMBDA = 10.0


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scan(seed: int = 0, shape: tuple[int, int, int] = (32, 28, 6)) -> Scan:
    """Return a brain with a lesion in its middle slices; the last slice is empty."""
    anatomy = np.zeros(shape, np.float32)
    anatomy[4:-4, 4:-4, :-1] = 2
    lesion = np.zeros(shape, np.float32)
    lesion[8:12, 8:12, 2:4] = 1
    dwi = 100 * anatomy + 300 * lesion + np.random.default_rng(seed).uniform(0, 10, shape)
    return Scan({Role.DWI: dwi.astype(np.float32), Role.ANATOMY: anatomy, Role.LESION: lesion}, np.eye(4))


def recipe_of(variant: str, **settings: float) -> Recipe:
    return load("translate-2d", variant, "small", settings=settings)


def tiny(variant: str) -> nn.ModuleDict:
    """Return small networks of a variant, for slices of 32 pixels."""
    size, channels = UnetSize((4, 6, 6), 0.3), {"pix2pix": (30,), "cyclegan": (1, 29)}[variant]
    torch.manual_seed(1)
    networks: dict[str, nn.Module] = {"generator": UnetTranslator(size)}
    networks |= {n: PatchDiscriminator(c, (4, 6)) for n, c in zip(JUDGES[variant], channels, strict=True)}
    if variant == "cyclegan":
        networks["labeller"] = UnetTranslator(size, (1, 29))
    return nn.ModuleDict(networks)


def phase_of(variant: str) -> TranslationPhase:
    phase = recipe_of(variant).phase
    assert isinstance(phase, TranslationPhase)
    return phase


def gradients(loss: Tensor, model: nn.ModuleDict, names: Sequence[str]) -> list[Tensor]:
    parameters = [p for name in names for p in model[name].parameters()]
    return list(torch.autograd.grad(loss, parameters, retain_graph=True))


def of_judges(model: nn.ModuleDict, maps: Tensor, images: Tensor, variant: str) -> Tensor:
    """Return the discriminators' losses, written down anew: half of (D(real) - 1)² and half of D(fake)²."""
    random = rng(3)
    drawn = model["generator"].draw(maps, random)  # type: ignore[operator]
    if variant == "pix2pix":
        pairs = [("discriminator", torch.cat([maps, images], 1), torch.cat([maps, drawn], 1))]
    else:
        labelled = model["labeller"].draw(images, random)  # type: ignore[operator]
        pairs = [("discriminator", images, drawn), ("map_discriminator", maps, labelled)]
    terms = [((model[n](real) - 1) ** 2).mean() + (model[n](fake) ** 2).mean() for n, real, fake in pairs]
    return torch.stack(terms).sum() / 2


def of_drawers(model: nn.ModuleDict, maps: Tensor, images: Tensor, variant: str) -> Tensor:
    """Return the generators' losses, written down anew: (D(fake) - 1)², and λ times the distances."""
    random = rng(3)
    drawn = model["generator"].draw(maps, random)  # type: ignore[operator]
    if variant == "pix2pix":
        judged = model["discriminator"](torch.cat([maps, drawn], 1))
        return torch.as_tensor(((judged - 1) ** 2).mean() + LAMBDA * (drawn - images).abs().mean())
    labelled = model["labeller"].draw(images, random)  # type: ignore[operator]
    image_cycle = (model["generator"].draw(labelled, random) - images).abs().mean()  # type: ignore[operator]
    map_cycle = (model["labeller"].draw(drawn, random) - maps).abs().mean() * 29  # type: ignore[operator]
    judged_image, judged_map = model["discriminator"](drawn), model["map_discriminator"](labelled)
    deceived = ((judged_image - 1) ** 2).mean() + ((judged_map - 1) ** 2).mean()
    return torch.as_tensor(deceived + LAMBDA * (image_cycle + map_cycle))


@pytest.mark.parametrize("variant", ["pix2pix", "cyclegan"])
def test_each_network_has_the_gradient_of_its_own_loss_alone(variant: str) -> None:
    model, drawn = tiny(variant), records([scan()], 32).draw(3, rng())
    maps, images = one_hot(drawn[:, 0]), drawn[:, 1:]
    joint = phase_of(variant).patient_loss(model, drawn, rng(3))
    for names, own in ((JUDGES[variant], of_judges), (DRAWERS[variant], of_drawers)):
        expected = gradients(own(model, maps, images, variant), model, names)
        for found, known in zip(gradients(joint, model, names), expected, strict=True):
            torch.testing.assert_close(found, known, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("clip_norm", [0.1, 100.0])
def test_both_networks_are_clipped_as_one(clip_norm: float) -> None:
    """The released sum of one patient is as long as C, and lies in the direction of the joint gradient."""
    model, drawn, phase = tiny("pix2pix"), records([scan()], 32).draw(3, rng()), phase_of("pix2pix")
    names = phase.moves
    unclipped = gradients(phase.patient_loss(model, drawn, rng(3)), model, names)
    length = float(torch.cat([g.flatten() for g in unclipped]).norm())
    parameters = [p for name in names for p in model[name].parameters()]
    before = [p.detach().clone() for p in parameters]
    sums = PoissonSums(
        noise_multiplier=0.0, clip_norm=clip_norm, sampling_rate=1.0, units=1, randomness=SystemRandomness()
    )
    optimizer = PatientOptimizer(torch.optim.SGD(parameters, lr=1.0), sums)
    optimizer.private_step(lambda index: phase.patient_loss(model, drawn, rng(3)))
    moved = [old - new.detach() for old, new in zip(before, parameters, strict=True)]
    assert float(torch.cat([m.flatten() for m in moved]).norm()) == pytest.approx(min(clip_norm, length), rel=1e-3)
    for part, whole in zip(moved, unclipped, strict=True):
        torch.testing.assert_close(part, whole * min(1.0, clip_norm / length), rtol=1e-3, atol=1e-6)


def test_nothing_of_the_loss_is_free_of_patients() -> None:
    recipe = recipe_of("pix2pix")
    assert phase_of("pix2pix").public_loss(recipe.build(1), 4, rng()) is None
    assert recipe.coordinator_optimizer(recipe.build(1)) is None


def test_records_are_slices_with_brain_half_of_them_with_lesion() -> None:
    drawn = records([scan()], 32).draw(2000, rng())
    assert drawn.shape == (2000, 2, 32, 32)
    assert bool((drawn[:, 0].flatten(1).max(1).values > 0).all())
    with_lesion = (drawn[:, 0] == LESION_CLASS).flatten(1).any(1).float().mean()
    assert float(with_lesion) == pytest.approx(0.5 + 0.5 * 2 / 5, abs=0.05)  # 2 of 5 slices have any
    assert float(drawn[:, 1].min()) == -1.0
    assert float(drawn[:, 1].max()) == 1.0


def test_records_do_not_tell_of_the_scanners_gain() -> None:
    one, brighter = scan(), scan()
    brighter.volumes[Role.DWI] *= 7
    torch.testing.assert_close(records([one], 16).draw(4, rng()), records([brighter], 16).draw(4, rng()))


def test_records_of_all_sessions_are_drawn() -> None:
    healthy = scan(1)
    healthy.volumes[Role.LESION][:] = 0
    drawn = records([scan(0), healthy], 16).draw(400, rng())
    assert len({tuple(image.flatten().tolist()) for image in drawn[:, 1]}) == 10


def test_a_map_without_brain_is_refused() -> None:
    with pytest.raises(CohortError, match="no slice has brain"):
        SliceRecords(np.zeros((3, 8, 8), np.uint8), np.zeros((3, 8, 8), np.float32))


@pytest.mark.parametrize("variant", ["pix2pix", "spade"])
@pytest.mark.parametrize("shape", [(64, 64, 6), (40, 30, 18)])
def test_a_translated_volume_has_the_maps_shape_and_is_black_where_there_is_no_brain(
    variant: str, shape: tuple[int, int, int]
) -> None:
    generator = recipe_of(variant).build(1)[SMOOTHED]
    brain = scan(0, shape)
    anatomy, lesion = brain.volumes[Role.ANATOMY], brain.volumes[Role.LESION]
    drawn = translate(generator, anatomy, lesion, 64, 3)
    assert drawn.shape == shape
    assert drawn.dtype == np.float32
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert not drawn[:, :, -1].any()
    np.testing.assert_array_equal(drawn, translate(generator, anatomy, lesion, 64, 3))


def test_equal_maps_far_apart_in_a_volume_give_equal_slices() -> None:
    """They are drawn in passes of 16 slices, which share their noise too."""
    brain = scan(0, (64, 64, 20))
    drawn = translate(
        recipe_of("spade").build(1)[SMOOTHED], brain.volumes[Role.ANATOMY], np.zeros((64, 64, 20)), 64, 3
    )
    np.testing.assert_allclose(drawn[:, :, 0], drawn[:, :, 18], atol=1e-5)


def test_a_lesion_changes_the_slices_it_lies_in_alone() -> None:
    generator, brain = recipe_of("pix2pix").build(1)[SMOOTHED], scan(0, (64, 64, 6))
    anatomy, lesion = brain.volumes[Role.ANATOMY], brain.volumes[Role.LESION]
    changed = translate(generator, anatomy, lesion, 64, 3) - translate(
        generator, anatomy, np.zeros_like(lesion), 64, 3
    )
    np.testing.assert_array_equal(np.abs(changed).max(axis=(0, 1)) > 1e-4, lesion.any(axis=(0, 1)))


@pytest.mark.parametrize("variant", VARIANTS)
def test_samples_are_drawn_from_public_maps(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of(variant)
    cases = list(recipe.sample(recipe.build(1), 2, seed=1))
    again = list(recipe.sample(recipe.build(1), 2, seed=1))
    assert [set(case.volumes) for case in cases] == [{Role.DWI, Role.ANATOMY, Role.LESION}] * 2
    assert all(case.volumes[Role.LESION].any() for case in cases)
    assert cases[0].shape == (64, 64, 16)
    for case, same in zip(cases, again, strict=True):
        np.testing.assert_array_equal(case.volumes[Role.DWI], same.volumes[Role.DWI])


def test_pre_training_moves_every_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Translation, "phantoms", 2)
    recipe = recipe_of("pix2pix", pretraining_steps=1, pretraining_batch=1)
    model, fresh = recipe.build(1), recipe.build(1)
    recipe.pretrain(model, 1, lambda *args: None)
    for name in ("generator", "discriminator", SMOOTHED):
        assert any(
            not torch.equal(a, b) for a, b in zip(model[name].parameters(), fresh[name].parameters(), strict=True)
        )


def test_the_running_average_follows_what_the_sites_send() -> None:
    recipe = recipe_of("pix2pix", steps=5)
    model = recipe.build(1)
    average = {k: v + 1 for k, v in model.state_dict().items() if not k.startswith(SMOOTHED)}
    before = {k: v.clone() for k, v in model[SMOOTHED].state_dict().items()}
    recipe.receive(model, average, 0.0)
    for key, value in model[SMOOTHED].state_dict().items():
        torch.testing.assert_close(value, before[key] + (1 - 0.99**5), rtol=1e-4, atol=1e-5)


def test_lambda_is_a_setting() -> None:
    assert recipe_of("pix2pix", reconstruction=100).phase.reconstruction == 100  # type: ignore[union-attr]
