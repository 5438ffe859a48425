"""Generators of perfusion maps: sizes of the papers, counted by hand, and what each promises of a slice."""

import pytest
import torch
from torch import Tensor, nn

from shared.imaging.perfusion.frames import FRAMES
from shared.models.layers import build
from shared.models.patch_discriminator import PatchDiscriminator
from shared.models.perfusion_unet import PAPER, PUBLISHED, SMALL, AlongTime, PerfusionUnet, TemporalTrunk
from shared.privacy.layers import refuse_leaky_modules

KINDS = ["pix2pix", "temp-pix2pix", "temp-pix2pix-fine"]
TINY_UNET, TINY_TRUNK = (8, 8, 8, 8, 8, 8), (4, 4, 4, 4, 8, 8)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def frames(count: int) -> Tensor:
    return torch.randn((count, FRAMES, 64, 64), generator=rng())


def tiny(kind: str) -> PerfusionUnet:
    def make() -> PerfusionUnet:
        trunk = None if kind == "pix2pix" else TemporalTrunk(TINY_TRUNK)
        return PerfusionUnet(2, TINY_UNET, trunk, fine=kind == "temp-pix2pix-fine")

    return build(make, rng())


def weights(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


# Convolutions of kernel 4 x 4 with channels in and out; of normalised ones a scale and a shift a channel.
DOWN = 16 * (128 * 256 + 256 * 512 + 512 * 1024 + 1024 * 1024 + 1024 * 1024) + 2 * (256 + 512 + 1024 + 1024)
UP = 16 * (1024 * 1024 + 2048 * 1024 + 2048 * 512 + 1024 * 256 + 512 * 128) + 2 * (1024 + 1024 + 512 + 256 + 128)
LAST = 16 * 256 + 1
# Of kernel 4 along time, with biases, all normalised.
TRUNK = 4 * (128 + 128 * 256 + 256 * 512 + 512 * 1024 + 2 * 1024 * 1024) + 3 * (128 + 256 + 512 + 3 * 1024)


def test_networks_have_as_many_weights_as_counted_by_hand() -> None:
    with torch.device("meta"):
        assert weights(PerfusionUnet(1, PAPER.unet)) == 16 * 80 * 128 + DOWN + UP + LAST
        assert weights(TemporalTrunk(PAPER.trunk)) == TRUNK
        both = PerfusionUnet(1, PAPER.unet, TemporalTrunk(PAPER.trunk))
        assert weights(both) == TRUNK + 16 * 1024 * 128 + DOWN + UP + LAST
        judge = PatchDiscriminator(81, (64, 128), 256)
    assert weights(judge) == 16 * (81 * 64 + 64 * 128 + 128 * 256 + 256) + 3 * (64 + 128 + 256) + 1


def test_pixels_go_past_the_unet_by_a_weight_for_each_feature_and_map_and_a_bias() -> None:
    network = tiny("temp-pix2pix-fine")
    assert weights(network) - weights(tiny("temp-pix2pix")) == 8 * 2 + 2
    assert network.past is not None
    one = frames(1)
    around = network(one)
    nn.init.zeros_(network.last.weight)
    expected = torch.tanh(torch.einsum("mf,bfij->bmij", network.past.weight[..., 0, 0], network.trunk(one)))
    torch.testing.assert_close(network(one), expected)
    assert not torch.allclose(around, expected)


def test_the_published_unet_is_an_eighth_as_wide_behind_the_same_trunk() -> None:
    assert [8 * width for width in PUBLISHED.unet] == list(PAPER.unet)
    assert PUBLISHED.trunk == PAPER.trunk


def test_the_discriminator_scores_patches() -> None:
    judge = build(lambda: PatchDiscriminator(FRAMES + 1, (4, 8), 16), rng())
    assert judge(torch.zeros(2, FRAMES + 1, 128, 128)).shape == (2, 1, 30, 30)


def test_the_trunk_leaves_one_point_in_time() -> None:
    trunk = build(lambda: TemporalTrunk(SMALL.trunk), rng())
    times, curves = [], torch.randn((3, FRAMES, 1), generator=rng())
    for layer in trunk.layers:
        curves = layer(curves)
        times.append(curves.shape[1])
    assert times == [40, 20, 10, 5, 2, 1]
    assert trunk(frames(1)).shape == (1, trunk.features, 64, 64)


def test_a_layer_along_time_is_a_convolution_of_kernel_4_1_1() -> None:
    layer, slices = build(lambda: AlongTime(3, 5), rng()), torch.randn((2, 3, 10, 4, 4), generator=rng())
    kernel = layer.weigh.weight.reshape(5, 3, 4, 1, 1)
    convolved = nn.functional.conv3d(slices, kernel, layer.weigh.bias, (2, 1, 1), (1, 0, 0))
    expected = nn.functional.leaky_relu(6**0.5 * convolved, 0.2)
    found = layer(slices.movedim((2, 1), (3, 4)).reshape(-1, 10, 3))
    torch.testing.assert_close(found.reshape(2, 4, 4, 5, 5).movedim((3, 4), (2, 1)), expected)


def test_the_trunk_reads_a_pixels_own_curve_alone_and_knows_how_high_it_is() -> None:
    trunk = build(lambda: TemporalTrunk(TINY_TRUNK), rng())
    one = frames(1)
    one[0, :, :30] = 0  # outside the brain
    other = one.clone()
    other[0, :, 50, 7] *= 2
    before, after = trunk(one), trunk(other)
    assert (before != after).any(dim=1)[0].nonzero().tolist() == [[50, 7]]
    assert bool((before[0, :, :30] == before[0, :, :1, :1]).all())
    assert bool((before[0, :, 31] != before[0, :, 0]).any())


@pytest.mark.parametrize("kind", KINDS)
def test_a_slice_does_not_depend_on_those_beside_it(kind: str) -> None:
    network = tiny(kind)
    refuse_leaky_modules(network)
    several = frames(3)
    together = network(several)
    torch.testing.assert_close(together, torch.cat([network(one[None]) for one in several]), atol=1e-5, rtol=1e-4)
    assert together.shape == (3, 2, 64, 64)
    assert float(together.detach().abs().max()) <= 1
    assert not torch.allclose(together[0], together[1])


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_is_of_use_and_nothing_is_random(kind: str) -> None:
    network = tiny(kind)
    drawn = network.draw(frames(2), rng(1))
    torch.testing.assert_close(drawn, network(frames(2)))
    moved = torch.autograd.grad(drawn.square().sum(), list(network.parameters()))
    assert all(bool(gradient.any()) for gradient in moved)


def test_an_innermost_map_of_one_pixel_still_tells_of_the_slice() -> None:
    network = tiny("pix2pix")
    features = network.first(frames(2))
    for down in network.down:
        features = down(features)
    features = network.innermost(features)
    assert features.shape == (2, 8, 1, 1)
    assert not torch.allclose(features[0], features[1])
