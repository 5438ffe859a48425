"""Accounting: known figures, laws of composition, agreement of two accountants, calibration."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import UsageError
from shared.privacy.accounting import cost, format_epsilon, noise_multiplier_for
from shared.privacy.crosscheck import rdp_cost
from shared.privacy.events import NonPrivate, SampledGaussian, Spending, Unit

DELTA = 1e-5


def plan(sigma: float, rate: float, steps: int) -> Spending:
    return Spending.of(SampledGaussian(noise_multiplier=sigma, sampling_rate=rate, steps=steps))


@pytest.mark.parametrize(
    ("sigma", "rate", "steps", "pld", "rdp"),
    [
        (1.1, 0.02, 2000, 4.6977, 5.1347),  # found independently with dp-accounting and Opacus
        (2.73, 0.25, 300, 8.0, 8.66),
    ],
)
def test_known_plans_cost_what_was_found_independently(
    sigma: float, rate: float, steps: int, pld: float, rdp: float
) -> None:
    assert cost([plan(sigma, rate, steps)], DELTA).epsilon == pytest.approx(pld, abs=0.02)
    assert rdp_cost([plan(sigma, rate, steps)], DELTA).epsilon == pytest.approx(rdp, abs=0.02)


def test_pld_never_exceeds_the_rdp_bound() -> None:
    for spendings in ([plan(1.1, 0.02, 2000)], [plan(0.6, 1.0, 1)], [plan(0.6, 1.0, 1), plan(1.1, 0.02, 2000)]):
        assert cost(spendings, DELTA).epsilon <= rdp_cost(spendings, DELTA).epsilon


def test_composition_costs_more_than_each_part_and_less_than_the_sum() -> None:
    one, two = plan(0.6, 1.0, 1), plan(1.1, 0.02, 2000)
    both = cost([one, two], DELTA).epsilon
    assert max(cost([one], DELTA).epsilon, cost([two], DELTA).epsilon) < both
    assert both < cost([one], DELTA).epsilon + cost([two], DELTA).epsilon
    assert both == cost([two, one], DELTA).epsilon
    assert cost([plan(1.1, 0.02, 1000), plan(1.1, 0.02, 1000)], DELTA) == cost([two], DELTA)


def test_nothing_costs_nothing_and_no_noise_costs_everything() -> None:
    assert cost([], DELTA).epsilon == 0.0
    assert math.isinf(cost([Spending.of(NonPrivate(steps=1)), plan(0.6, 1.0, 1)], DELTA).epsilon)
    assert cost([Spending.of(NonPrivate(steps=0))], DELTA).epsilon == 0.0


def test_units_are_never_mixed() -> None:
    patch = Spending.of(SampledGaussian(noise_multiplier=1, sampling_rate=0.1, steps=1), unit=Unit.PATCH)
    with pytest.raises(UsageError, match="different privacy units"):
        cost([patch, plan(0.6, 1.0, 1)], DELTA)


@pytest.mark.parametrize(("rate", "steps"), [(1.0, 1), (0.25, 50)])
def test_calibrated_noise_meets_its_target_and_a_little_less_would_not(rate: float, steps: int) -> None:
    sigma = noise_multiplier_for(8.0, DELTA, rate, steps)
    assert cost([plan(sigma, rate, steps)], DELTA).epsilon <= 8.0
    assert cost([plan(round(sigma - 0.001, 3), rate, steps)], DELTA).epsilon > 8.0


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan"), float("inf")])
def test_a_senseless_epsilon_is_refused(epsilon: float) -> None:
    with pytest.raises(UsageError, match="epsilon"):
        noise_multiplier_for(epsilon, DELTA, 1.0, 1)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-5])
def test_a_senseless_delta_is_refused(delta: float) -> None:
    with pytest.raises(UsageError, match="delta"):
        cost([plan(0.6, 1.0, 1)], delta)


def test_a_cost_is_never_printed_without_its_meaning() -> None:
    text = str(cost([plan(0.6, 1.0, 1)], DELTA))
    assert all(part in text for part in ("ε = ", "δ = 1e-05", "patient", "add/remove", "PLD"))


@settings(max_examples=200)
@given(st.floats(1e-6, 1e4))
def test_a_printed_epsilon_never_understates(epsilon: float) -> None:
    assert float(format_epsilon(epsilon)) >= epsilon - 1e-7 * max(1, epsilon)
