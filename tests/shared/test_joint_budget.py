"""A budget for two runs is kept by joint PLD, and nearly all of it is spent."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import UsageError
from shared.privacy.accounting import cost, noise_multiplier_for
from shared.privacy.events import SampledGaussian, Spending
from shared.privacy.joint_budget import NEAR, Steps, split_epsilon

DELTA = 1e-5
RUNS = st.builds(Steps, st.just(1.0), st.integers(1, 60))  # unsampled: priced fastest


def planned(epsilon: float, steps: Steps) -> Spending:
    sigma = noise_multiplier_for(epsilon, DELTA, steps.sampling_rate, steps.count)
    return Spending.of(
        SampledGaussian(noise_multiplier=sigma, sampling_rate=steps.sampling_rate, steps=steps.count)
    )


@settings(max_examples=3)
@given(st.floats(1.0, 4.0), RUNS, RUNS, st.floats(0.1, 0.9))
def test_both_runs_together_cost_the_budget_and_no_more(
    epsilon: float, first: Steps, second: Steps, share: float
) -> None:
    check(epsilon, first, second, share)


@pytest.mark.slow
def test_sampled_runs_keep_the_budget_too() -> None:
    check(8.0, Steps(0.25, 10), Steps(0.25, 30), 0.5)


def check(epsilon: float, first: Steps, second: Steps, share: float) -> None:
    one, other = split_epsilon(epsilon, DELTA, first, second, share)
    joint = cost([planned(one, first), planned(other, second)], DELTA).epsilon
    assert (1 - NEAR) * epsilon <= joint <= epsilon
    assert one / (one + other) == pytest.approx(share)


def test_two_gaussians_share_a_budget_by_the_squares_of_their_noise() -> None:
    """Unsampled Gaussians compose exactly: 1/σ² adds up, so two equal runs each have √2 times the noise of one."""
    once = Steps(1.0, 1)
    one, other = split_epsilon(4.0, DELTA, once, once, 0.5)
    assert one == other
    alone = noise_multiplier_for(4.0, DELTA, 1.0, 1)
    assert noise_multiplier_for(one, DELTA, 1.0, 1) == pytest.approx(2**0.5 * alone, rel=NEAR)


@pytest.mark.parametrize(("epsilon", "share"), [(4.0, 0.0), (4.0, 1.0), (-1.0, 0.5), (float("inf"), 0.5)])
def test_what_makes_no_sense_is_refused(epsilon: float, share: float) -> None:
    with pytest.raises(UsageError, match="choose a"):
        split_epsilon(epsilon, DELTA, Steps(1.0, 1), Steps(1.0, 1), share)


@pytest.mark.slow
def test_a_budget_that_sigma_cannot_meet_is_kept_all_the_same() -> None:
    """At σ near 0.1 one thousandth of σ is more than `NEAR` of ε: what is found is below, and still positive."""
    one, other = split_epsilon(90.0, DELTA, Steps(1.0, 1), Steps(1.0, 2), 0.5)
    joint = cost([planned(one, Steps(1.0, 1)), planned(other, Steps(1.0, 2))], DELTA).epsilon
    assert 0.9 * 90.0 <= joint <= 90.0
