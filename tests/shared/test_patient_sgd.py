"""Patient SGD: what one step releases, how often patients are drawn, what is logged, what is refused."""

import pytest
import torch
from opacus.grad_sample import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import Tensor, nn

from shared.privacy.events import NonPrivate, SampledGaussian
from shared.privacy.mechanism import PoissonSums
from shared.privacy.patient_sgd import PatientOptimizer
from shared.privacy.randomness import SeededRandomness

CLIP = 0.7


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(64, 1))


def optimizer(
    net: nn.Module, patients: int, *, sigma: float, rate: float = 1.0, seed: int = 0
) -> PatientOptimizer:
    sums = PoissonSums(
        noise_multiplier=sigma,
        clip_norm=CLIP,
        sampling_rate=rate,
        units=patients,
        randomness=SeededRandomness(seed, "sgd"),
    )
    return PatientOptimizer(torch.optim.SGD(net.parameters(), lr=1.0), sums)


def data(patients: int) -> Tensor:
    return torch.randn(patients, 3, 1, 6, 6, generator=torch.Generator().manual_seed(1))


def test_a_step_equals_opacus_when_every_patient_has_one_record() -> None:
    records = data(5)[:, :1]
    ours, theirs = network(), GradSampleModule(network())
    step = optimizer(ours, 5, sigma=0.0)
    step.private_step(lambda i: ours(records[i]).mean())
    reference = DPOptimizer(
        torch.optim.SGD(theirs.parameters(), lr=1.0),
        noise_multiplier=0.0,
        max_grad_norm=CLIP,
        expected_batch_size=5,
    )
    theirs(records[:, 0]).mean().backward()
    reference.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_one_patient_moves_the_released_gradient_by_at_most_the_clip_norm_whatever_its_records() -> None:
    records = data(4)
    steps = []
    for scale in (1.0, 1e6):  # the last patient's records become absurd
        net = network()
        scaled = torch.cat([records[:3], records[3:] * scale])
        optimizer(net, 4, sigma=0.0).private_step(lambda i, x=scaled, n=net: n(x[i]).mean())  # type: ignore[misc]
        steps.append(torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None]) * 4)
    assert 0 < float((steps[0] - steps[1]).norm()) <= 2 * CLIP * (1 + 1e-5)


def test_an_empty_draw_still_releases_noise_and_is_logged() -> None:
    net = network()
    step = optimizer(net, 3, sigma=2.0, rate=1e-9)
    before = [p.clone() for p in net.parameters()]
    step.private_step(lambda i: pytest.fail("nobody should be drawn"))
    assert all(not torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    assert step.executed() == SampledGaussian(noise_multiplier=2.0, sampling_rate=1e-9, steps=1)


def test_every_step_draws_afresh_and_events_equal_steps() -> None:
    net = network()
    step = optimizer(net, 6, sigma=1.0, rate=0.5)
    draws: list[tuple[int, ...]] = []
    records = data(6)
    for _ in range(40):
        seen: list[int] = []

        def loss(i: int, seen: list[int] = seen) -> Tensor:
            seen.append(i)
            out: Tensor = net(records[i]).mean()
            return out

        step.private_step(loss)
        draws.append(tuple(seen))
    assert len(set(draws)) > 10
    assert step.executed().steps == 40
    assert sum(map(len, draws)) / (40 * 6) == pytest.approx(0.5, abs=0.12)


def test_the_public_half_is_added_as_it_is() -> None:
    net, other = network(), network()
    fakes = data(2)[0]
    optimizer(net, 3, sigma=0.0, rate=1e-9).private_step(lambda i: net(fakes).mean(), net(fakes).mean())
    expected = torch.autograd.grad(other(fakes).mean(), list(other.parameters()))
    for parameter, gradient in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_a_patient_whose_gradient_is_nan_counts_as_zero() -> None:
    net = network()
    optimizer(net, 2, sigma=0.0).private_step(lambda i: net(data(2)[i]).mean() * float("nan"))
    assert all(p.grad is not None and not p.grad.any() for p in net.parameters())


def test_a_step_without_noise_is_logged_as_non_private() -> None:
    net = network()
    step = optimizer(net, 2, sigma=0.0)
    step.private_step(lambda i: net(data(2)[i]).mean())
    assert step.executed() == NonPrivate(steps=1)
