"""Translators and their discriminator: sizes of the paper, and what each promises of a slice."""

import pytest
import torch
from torch import Tensor, nn

from shared.imaging.anatomy import CLASSES
from shared.models import patch_discriminator, spade_translator, unet_translator
from shared.models.layers import build
from shared.models.patch_discriminator import PatchDiscriminator
from shared.models.spade_translator import SpadeNorm, SpadeSize, SpadeTranslator
from shared.models.unet_translator import UnetSize, UnetTranslator
from shared.privacy.layers import refuse_leaky_modules

TINY_UNET = UnetSize((8, 8, 8), 0.3)
TINY_SPADE = SpadeSize(6, (8, 4), 5)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def maps(count: int, edge: int, seed: int = 0) -> Tensor:
    """Return one-hot maps (count, 29, edge, edge) of random classes."""
    classes = torch.randint(CLASSES, (count, edge, edge), generator=rng(seed))
    return nn.functional.one_hot(classes, CLASSES).movedim(-1, 1).float()


def weights(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def tiny(kind: str) -> tuple[UnetTranslator | SpadeTranslator, int]:
    """Return a small translator and its edge."""
    if kind == "unet":
        return build(lambda: UnetTranslator(TINY_UNET), rng()), 8
    return build(lambda: SpadeTranslator(TINY_SPADE), rng()), 16


def test_the_unet_has_as_many_weights_as_platschers() -> None:
    with torch.device("meta"):
        assert weights(UnetTranslator(unet_translator.PAPER)) == 41_857_025


def test_the_discriminator_has_as_many_weights_as_platschers() -> None:
    """The paper's 888,898 is twice that: its software's summary counts them both as frozen and as free."""
    discriminator = PatchDiscriminator(CLASSES + 1, patch_discriminator.PAPER_WIDTHS)
    assert 2 * weights(discriminator) == 888_898
    assert discriminator(torch.zeros(1, 30, 128, 128)).shape == (1, 1, 14, 14)


@pytest.mark.parametrize("preset", ["SMALL", "PAPER"])
def test_spade_blocks_end_at_the_size_of_the_slice(preset: str) -> None:
    size: SpadeSize = getattr(spade_translator, preset)
    edge = {"SMALL": 64, "PAPER": 128}[preset]
    with torch.device("meta"):
        assert SpadeTranslator(size)(torch.zeros(1, CLASSES, edge, edge), torch.zeros(1, size.latent)).shape == (
            1,
            1,
            edge,
            edge,
        )


@pytest.mark.parametrize("kind", ["unet", "spade"])
def test_a_slice_does_not_depend_on_those_beside_it(kind: str) -> None:
    network, edge = tiny(kind)
    refuse_leaky_modules(network)
    several = maps(3, edge)
    together = network.draw_volume(several, rng(1))
    alone = torch.cat([network.draw_volume(one[None], rng(1)) for one in several])
    torch.testing.assert_close(together, alone)
    assert together.shape == (3, 1, edge, edge)
    assert float(together.detach().abs().max()) <= 1
    assert not torch.allclose(together[0], together[1])


@pytest.mark.parametrize("kind", ["unet", "spade"])
def test_training_draws_are_random_and_follow_from_their_generator(kind: str) -> None:
    network, edge = tiny(kind)
    same = maps(1, edge).expand(2, -1, -1, -1)
    first = network.draw(same, rng(1))
    torch.testing.assert_close(first, network.draw(same, rng(1)))
    assert not torch.allclose(first, network.draw(same, rng(2)))
    assert not torch.allclose(first[0], first[1])


@pytest.mark.parametrize("kind", ["unet", "spade"])
def test_equal_maps_of_one_volume_give_equal_slices(kind: str) -> None:
    network, edge = tiny(kind)
    one, other = network.draw_volume(maps(1, edge).expand(2, -1, -1, -1), rng(1))
    torch.testing.assert_close(one, other)


def test_spade_volumes_differ_by_their_noise() -> None:
    network, edge = tiny("spade")
    assert not torch.allclose(
        network.draw_volume(maps(1, edge), rng(1)), network.draw_volume(maps(1, edge), rng(2))
    )


def test_an_innermost_map_of_one_pixel_still_tells_of_the_slice() -> None:
    network, edge = tiny("unet")
    assert isinstance(network, UnetTranslator)
    features = network.first(maps(2, edge))
    for down in network.down:
        features = down(features)
    assert features.shape == (2, 8, 1, 1)
    assert not torch.allclose(features[0], features[1])


def test_dropout_keeps_the_mean() -> None:
    network, _ = tiny("unet")
    assert isinstance(network, UnetTranslator)
    dropped = network._dropped(torch.ones(100_000), rng())
    assert float((dropped == 0).float().mean()) == pytest.approx(0.3, abs=0.01)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=0.01)


def test_several_channels_come_out_as_shares() -> None:
    network = build(lambda: UnetTranslator(TINY_UNET, (1, CLASSES)), rng())
    shares = network(torch.rand(2, 1, 8, 8))
    assert float(shares.detach().min()) >= 0
    torch.testing.assert_close(shares.sum(1), torch.ones(2, 8, 8))


def test_spade_norm_is_instance_norm_times_one_plus_gamma_plus_beta() -> None:
    norm = build(lambda: SpadeNorm(3, 4), rng())
    with torch.no_grad():
        for convolution, constant in ((norm.gamma, 0.5), (norm.beta, -2.0)):
            convolution.weight.zero_()
            convolution.bias.fill_(constant)  # type: ignore[union-attr]
    features = 5 + 3 * torch.randn(2, 3, 16, 16, generator=rng())
    deviation, mean = torch.std_mean(features, (2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(
        norm(features, maps(2, 16)), 1.5 * (features - mean) / deviation - 2.0, atol=1e-4, rtol=1e-4
    )


def test_spade_scales_and_shifts_where_the_map_says() -> None:
    """Two halves of different class: within each half, away from its edge, a flat map of features stays flat."""
    norm = build(lambda: SpadeNorm(1, 32), rng())
    halves = torch.zeros(1, 16, 16, dtype=torch.long)
    halves[:, 8:] = 5
    one_hot = nn.functional.one_hot(halves, CLASSES).movedim(-1, 1).float()
    adapted = norm(torch.ones(1, 1, 16, 16), one_hot)[0, 0]
    assert float(adapted[2:6, 2:14].std()) < 1e-6
    assert float((adapted[4, 8] - adapted[12, 8]).abs()) > 1e-4
