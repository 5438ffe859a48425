"""The lesion networks have the paper's sizes, and the gradient penalty does what its source says."""

import pytest
import torch
from torch import Tensor, nn

from shared.models.gradient_penalty import gradient_penalty
from shared.models.lesion_gan import PAPER, SMALL, LesionGanSize, build_critic, build_generator


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_paper_size_has_the_papers_parameter_counts() -> None:
    assert _count(build_generator(PAPER, _rng())) == 1_280_104
    assert _count(build_critic(PAPER, _rng())) == 1_427_048


def test_the_small_critic_is_small() -> None:
    assert _count(build_critic(SMALL, _rng())) < 150_000


@pytest.mark.parametrize("size", [PAPER, SMALL])
def test_shapes_range_and_no_buffers(size: LesionGanSize) -> None:
    generator, critic = build_generator(size, _rng()), build_critic(size, _rng())
    with torch.no_grad():
        fake = generator.draw(2, _rng(1))
        assert fake.shape == (2, 1, 32, 32, 32)
        assert fake.min() > 0
        assert fake.max() < 1
        assert critic(fake).shape == (2,)
    assert not [*generator.buffers(), *critic.buffers()]


def test_weights_depend_on_the_given_generator_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = build_generator(SMALL, _rng()), build_critic(SMALL, _rng())
    assert torch.equal(torch.get_rng_state(), before)
    again = build_generator(SMALL, _rng()), build_critic(SMALL, _rng())
    other = build_generator(SMALL, _rng(1))
    for a, b in zip(first, again, strict=True):
        assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(first[0].dense.weight, other.dense.weight)


def test_samples_of_a_batch_do_not_mix() -> None:
    generator, critic = build_generator(SMALL, _rng()), build_critic(SMALL, _rng())
    with torch.no_grad():
        latent = torch.randn(3, generator.latent, generator=_rng(2))
        together = generator(latent)
        for i in range(3):
            torch.testing.assert_close(generator(latent[i : i + 1]), together[i : i + 1])
        torch.testing.assert_close(critic(together)[1:2], critic(together[1:2]))


@pytest.mark.parametrize("shape", [(5, 3), (4, 1, 6, 6), (3, 1, 4, 4, 4)])
@pytest.mark.parametrize("slope", [0.5, 1.0, 3.0])
def test_penalty_of_a_linear_critic_is_known(shape: tuple[int, ...], slope: float) -> None:
    weight = torch.randn(shape[1:], generator=_rng())
    weight *= slope / weight.norm()

    def critic(x: Tensor) -> Tensor:
        return (x * weight).flatten(1).sum(1)

    real, fake = torch.randn(shape, generator=_rng(1)), torch.randn(shape, generator=_rng(2))
    penalty = gradient_penalty(critic, real, fake, _rng(3))
    torch.testing.assert_close(penalty, torch.tensor((slope - 1) ** 2))


def test_each_sample_has_its_own_norm_and_its_own_place() -> None:
    seen: list[Tensor] = []

    def critic(x: Tensor) -> Tensor:
        seen.append(x.detach())
        return (x**2 / 2).flatten(1).sum(1)  # slope is x itself

    real, fake = torch.ones(6, 4), torch.zeros(6, 4)
    penalty = gradient_penalty(critic, real, fake, _rng())
    places = seen[0][:, 0]
    assert len(set(places.tolist())) == 6
    assert places.min() >= 0
    assert places.max() <= 1
    torch.testing.assert_close(penalty, ((2 * places - 1) ** 2).mean())


def test_penalty_trains_a_critic_towards_slope_one() -> None:
    critic = build_critic(SMALL, _rng())
    optimiser = torch.optim.Adam(critic.parameters(), lr=1e-3)
    real, fake = torch.rand(2, 2, 1, 32, 32, 32, generator=_rng(1))
    values = []
    for _ in range(25):
        penalty = gradient_penalty(critic, real, fake, _rng(2))
        optimiser.zero_grad()
        torch.autograd.backward(penalty)
        optimiser.step()
        values.append(float(penalty.detach()))
    assert values[-1] < 0.1 * values[0]


def test_penalty_refuses_unlike_shapes() -> None:
    with pytest.raises(ValueError, match="shape"):
        gradient_penalty(lambda x: x.flatten(1).sum(1), torch.zeros(2, 3), torch.zeros(3, 3), _rng())


@pytest.mark.parametrize("size", [PAPER, SMALL])
def test_a_fresh_generator_draws_mostly_empty_cubes(size: LesionGanSize) -> None:
    with torch.no_grad():
        fake = build_generator(size, _rng()).draw(4, _rng(1))
    assert fake.mean() < 0.25
    assert fake.std() > 0.02
