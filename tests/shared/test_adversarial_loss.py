"""What the networks are told of scores, by hand."""

import math

import pytest
import torch

from shared.models.adversarial_loss import LEAST_SQUARES, WASSERSTEIN, CrossEntropy, Logistic
from shared.models.gradient_penalty import gradient_penalty


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_wasserstein_losses_are_mean_scores() -> None:
    scores = torch.tensor([1.0, 4.0])
    assert float(WASSERSTEIN.real(scores, rng())) == -2.5
    assert float(WASSERSTEIN.fake(scores, rng())) == 2.5
    assert float(WASSERSTEIN.deceive(scores)) == -2.5


def test_least_squares_are_least_at_1_for_real_and_0_for_fake() -> None:
    scores = torch.tensor([[1.0, 3.0]])
    assert float(LEAST_SQUARES.real(scores, rng())) == 2.0
    assert float(LEAST_SQUARES.fake(scores, rng())) == 5.0
    assert float(LEAST_SQUARES.deceive(scores)) == 2.0


def test_the_logistic_generator_wants_to_be_taken_for_real() -> None:
    assert float(Logistic().deceive(torch.zeros(3))) == pytest.approx(math.log(2))
    assert float(Logistic().deceive(torch.full((3,), 9.0))) < 1e-3


def test_cross_entropy_of_scores_of_any_shape() -> None:
    scores = torch.tensor([[[0.0, math.log(3)]]])  # probabilities 1/2 and 3/4
    for_real, for_fake = math.log(2) + math.log(4 / 3), math.log(2) + math.log(4)
    assert float(CrossEntropy().real(scores, rng())) == pytest.approx(for_real / 2)
    assert float(CrossEntropy().deceive(scores)) == pytest.approx(for_real / 2)
    assert float(CrossEntropy().fake(scores, rng())) == pytest.approx(for_fake / 2)


def test_a_second_sigmoid_keeps_a_discriminator_from_being_sure() -> None:
    published, sure = CrossEntropy(sigmoid_twice=True), torch.full((3,), 100.0)
    assert float(published.real(sure, rng())) == pytest.approx(math.log1p(math.exp(-1)))
    assert float(published.fake(-sure, rng())) == pytest.approx(math.log(2))


def test_targets_are_smoothed_over_the_papers_ranges() -> None:
    """With logits of 0 a target moves nothing; the slope of the loss in the logit is 1/2 less the target."""
    logits = torch.zeros(4000, requires_grad=True)
    for loss, (low, high) in ((Logistic().fake, (0.0, 0.3)), (Logistic(above_one=True).real, (0.7, 1.2))):
        (slope,) = torch.autograd.grad(loss(logits, rng()) * len(logits), logits)
        targets = 0.5 - slope
        assert low <= float(targets.min()) < low + 0.01
        assert high - 0.01 < float(targets.max()) <= high + 1e-6


@pytest.mark.parametrize(("above_one", "bounded"), [(False, True), (True, False)])
def test_targets_above_one_are_a_loss_without_a_lower_bound(above_one: bool, bounded: bool) -> None:
    loss = Logistic(above_one=above_one)
    for logit in (1e2, 1e4):
        least = min(float(loss.real(torch.tensor([logit]), rng(seed))) for seed in range(30))
        assert (least >= 0) is bounded


def test_one_norm_over_the_batch_pushes_slopes_to_one_over_the_root_of_its_size() -> None:
    """The published code's fault: the penalty is least where each of b records has slope 1/√b."""
    real, fake = torch.randn(16, 5, generator=rng(1)), torch.randn(16, 5, generator=rng(2))
    direction = torch.full((5,), 5**-0.5)

    def penalty(slope: float, of_batch: bool) -> float:
        return float(gradient_penalty(lambda x: slope * (x @ direction), real, fake, rng(3), of_batch=of_batch))

    assert penalty(0.25, of_batch=True) == pytest.approx(0, abs=1e-10)
    assert penalty(1.0, of_batch=True) == pytest.approx(9, rel=1e-5)
    assert penalty(1.0, of_batch=False) == pytest.approx(0, abs=1e-10)


def test_one_place_for_the_batch_where_asked() -> None:
    seen: list[torch.Tensor] = []

    def critic(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.detach())
        return x.sum(1)

    gradient_penalty(critic, torch.ones(6, 4), torch.zeros(6, 4), rng(), of_batch=True)
    assert len(set(seen[0].flatten().tolist())) == 1
