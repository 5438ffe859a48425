"""The vessel networks have the papers' parameter counts, and keep what the door and the sampler rely on."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn

from shared.models import vessel_gan as flat
from shared.models import vessel_gan_3d as solid
from shared.models.gradient_penalty import gradient_penalty
from shared.models.layers import Network, build, initialise
from shared.models.unet import FULL, HALF, VOLUME, VOLUME_NORMED, UNet, UNetSize
from shared.models.vessel_discriminator import PAPER_HEAD, SMALL_HEAD, MinibatchDiscrimination, VesselDiscriminator
from shared.privacy.layers import refuse_leaky_modules

Make = Callable[[], nn.Module]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def on_meta(make: Callable[[], Network]) -> Network:
    """Return the network without memory for its weights: the largest would fill a gigabyte."""
    with torch.device("meta"):
        return make()


def count(make: Make) -> int:
    return sum(p.numel() for p in on_meta(make).parameters())


# From the papers' code; for the DCGAN's discriminator: 2·96·25 + 96·192·25 + 192·384·25 + 384·768·25 + 768·50·25
# of convolutions, 2·(96 + 192 + 384 + 768) of norms, 200·200 + 200, 200·100·16, 300 + 1.
COUNTS: tuple[tuple[Make, int], ...] = (
    (lambda: flat.VesselGenerator(flat.PAPER), 28_222_272),
    (lambda: flat.VesselCritic(flat.PAPER), 25_095_168),
    (lambda: flat.VesselGenerator(flat.GP_PAPER), 44_093_952),
    (lambda: flat.VesselCritic(flat.GP_PAPER), 39_211_200),
    (lambda: flat.VesselCritic(flat.SN_PAPER), 39_211_200),
    (lambda: flat.VesselGenerator(flat.DC_PAPER), 43_018_752),
    (lambda: VesselDiscriminator(flat.DC_PAPER, PAPER_HEAD), 11_004_981),
    (lambda: solid.VesselGenerator3d(solid.GP_PAPER), 139_916_994),
    (lambda: solid.VesselCritic3d(solid.GP_PAPER), 4_780_353),
    (lambda: solid.VesselCritic3d(solid.SN_PAPER), 4_780_353),
    (lambda: solid.VesselGenerator3d(solid.COMPLEX_PAPER), 289_123_714),
    (lambda: solid.VesselCritic3d(solid.COMPLEX_PAPER), 18_850_433),
    (lambda: UNet(HALF), 7_846_081),
    (lambda: UNet(FULL), 31_377_793),
    (lambda: UNet(VOLUME), 5_644_913),
    (lambda: UNet(VOLUME_NORMED), 5_647_857),
)


@pytest.mark.parametrize(("make", "parameters"), COUNTS)
def test_paper_sizes_have_the_papers_parameter_counts(make: Make, parameters: int) -> None:
    assert count(make) == parameters


def test_the_3d_papers_totals_are_generator_and_critic_together() -> None:
    for size, total in ((solid.GP_PAPER, 144_697_347), (solid.COMPLEX_PAPER, 307_974_147)):
        assert count(partial(solid.VesselGenerator3d, size)) + count(partial(solid.VesselCritic3d, size)) == total
    private = [count(partial(make, solid.DP_PAPER)) for make in (solid.VesselGenerator3d, solid.VesselCritic3d)]
    assert sum(private) == pytest.approx(70.0e6, rel=2e-3)


FLAT = {
    "dp": (flat.PAPER, flat.SMALL),
    "gp": (flat.GP_PAPER, flat.GP_SMALL),
    "sn": (flat.SN_PAPER, flat.SN_SMALL),
}
SOLID = {
    "gp": (solid.GP_PAPER, solid.GP_SMALL),
    "sn": (solid.SN_PAPER, solid.SN_SMALL),
    "c-sn": (solid.COMPLEX_PAPER, solid.COMPLEX_SMALL),
}
PAIRS: dict[str, tuple[Make, Make]] = {
    **{
        f"2d {name}": (partial(flat.VesselGenerator, small), partial(flat.VesselCritic, small))
        for name, (_, small) in FLAT.items()
    },
    **{
        f"3d {name}": (partial(solid.VesselGenerator3d, small), partial(solid.VesselCritic3d, small))
        for name, (_, small) in SOLID.items()
    },
    "2d dc": (partial(flat.VesselGenerator, flat.SMALL), partial(VesselDiscriminator, flat.GP_SMALL, SMALL_HEAD)),
}


@pytest.mark.parametrize(
    ("size", "edge"), [(size, 96 - 32 * small) for s in FLAT.values() for small, size in enumerate(s)]
)
def test_2d_patches_have_the_papers_edge(size: flat.VesselGanSize, edge: int) -> None:
    generator, critic = on_meta(lambda: flat.VesselGenerator(size)), on_meta(lambda: flat.VesselCritic(size))
    patches = generator(torch.empty(3, size.latent, device="meta"))
    assert patches.shape == (3, 2, edge, edge)
    assert critic(patches).shape == (3,)


@pytest.mark.parametrize("size", [size for sizes in SOLID.values() for size in sizes])
def test_3d_patches_have_the_papers_shape(size: solid.VesselGan3dSize) -> None:
    generator, critic = on_meta(lambda: solid.VesselGenerator3d(size)), on_meta(lambda: solid.VesselCritic3d(size))
    patches = generator(torch.empty(2, size.latent, device="meta"))
    assert patches.shape == (2, 2, *size.shape)
    assert critic(patches).shape == (2,)
    assert size.shape in {(128, 128, 64), (32, 32, 16)}


def test_the_dcgans_features_are_those_of_the_paper() -> None:
    network = on_meta(lambda: VesselDiscriminator(flat.DC_PAPER, PAPER_HEAD))
    patches = torch.empty(3, 2, 96, 96, device="meta")
    assert network.features(patches).shape == (3, 50, 2, 2)
    assert network(patches).shape == (3,)


@pytest.mark.parametrize("name", PAIRS)
def test_records_of_a_batch_do_not_mix_and_sites_take_the_networks(name: str) -> None:
    generator, critic = (build(make, rng()) for make in PAIRS[name])
    refuse_leaky_modules(nn.ModuleList([generator, critic]))
    with torch.no_grad():
        critic.eval()  # spectral norm iterates with every pass in training; sites stop that with a clock
        together = generator.draw(3, rng(1))  # type: ignore[operator]
        assert float(together.std()) > 0.01
        assert float(together.abs().max()) <= 1
        torch.testing.assert_close(generator.draw(1, rng(1)), together[:1])  # type: ignore[operator]
        if name != "2d dc":  # which compares records on purpose
            torch.testing.assert_close(critic(together)[1:2], critic(together[1:2]))


@pytest.mark.parametrize("name", PAIRS)
def test_first_weights_follow_from_the_given_generator_alone(name: str) -> None:
    for make in PAIRS[name]:
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first, again, other = build(make, rng()), build(make, rng()), build(make, rng(1))
        assert torch.equal(torch.get_rng_state(), before)
        states = zip(first.state_dict().values(), again.state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in states)
        assert all(bool(torch.isfinite(value).all()) for value in first.state_dict().values())
        assert not all(torch.equal(a, b) for a, b in zip(first.parameters(), other.parameters(), strict=True))


def test_spectral_norm_starts_with_its_norms_found() -> None:
    for make in (PAIRS["2d sn"][1], PAIRS["3d sn"][1]):
        critic = build(make, rng()).eval()
        normed = [m for m in critic.modules() if isinstance(m, nn.Conv2d | nn.Conv3d) and m.out_channels > 1]
        assert len(normed) == 4
        for layer in normed:
            norm = torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2)
            assert float(norm) == pytest.approx(1.0, abs=0.06)


def test_the_penalty_trains_a_critic_with_spectral_norm() -> None:
    critic = build(PAIRS["3d sn"][1], rng())
    real, fake = torch.rand(2, 2, 2, 32, 32, 16, generator=rng(1))
    torch.autograd.backward(gradient_penalty(critic, real, fake, rng(2)))
    assert all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in critic.parameters())
    assert sum(float(p.grad.abs().sum()) for p in critic.parameters() if p.grad is not None) > 0


def test_minibatch_discrimination_sums_closeness_over_the_others() -> None:
    layer = MinibatchDiscrimination(2, kernels=1, depth=2)
    with torch.no_grad():
        layer.compare.weight.copy_(torch.eye(2))
        out = layer(torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))
    near, far = 1 + float(torch.tensor(-2.0).exp()), 2 * float(torch.tensor(-2.0).exp())
    torch.testing.assert_close(out[:, 2], torch.tensor([near, far, near]))
    torch.testing.assert_close(out[:, :2], torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]]))


@pytest.mark.parametrize("size", [HALF, VOLUME, VOLUME_NORMED])
def test_a_unet_keeps_the_shape_of_its_image(size: UNetSize) -> None:
    image = torch.empty(2, 1, *(48, 32, 16)[: size.dimensions], device="meta")
    assert on_meta(lambda: UNet(size))(image).shape == image.shape


def test_a_unet_finds_a_bright_ball() -> None:
    torch.manual_seed(0)
    network = UNet(UNetSize(3, (8, 8), transposed=True))
    image = torch.randn(4, 1, 8, 8, 8, generator=rng(3)) * 0.1
    label = torch.zeros_like(image)
    for n in range(4):
        label[n, 0, n : n + 3, 2:5, 3:6] = 1
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(25):
        loss = nn.functional.binary_cross_entropy_with_logits(network(image + label), label)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert float(((network(image + label) > 0) == (label > 0)).float().mean()) > 0.99


def test_every_parameter_is_given_a_first_value() -> None:
    for make in (m for pair in PAIRS.values() for m in pair):
        network = on_meta(make).to_empty(device="cpu")
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(float("nan"))
        initialise(network, rng())
        assert all(bool(torch.isfinite(p).all()) for p in network.parameters())
