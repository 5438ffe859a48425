"""The Rényi filter: what it admits stays within its limit, whatever the order of events."""

import math

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
from dp_accounting.privacy_accountant import NeighboringRelation
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from shared.errors import UsageError
from shared.privacy.accounting import cost
from shared.privacy.events import NonPrivate, SampledGaussian, Spending, Unit
from shared.privacy.filter import RenyiFilter, order_for
from shared.privacy.renyi import epsilon_at, rdp

EPSILON, DELTA = 8.0, 1e-5


def plan(sigma: float, rate: float, steps: int) -> Spending:
    return Spending.of(SampledGaussian(noise_multiplier=sigma, sampling_rate=rate, steps=steps))


PLANS = st.builds(
    plan, st.sampled_from([0.7, 1.3, 3.46, 20.0]), st.sampled_from([0.01, 0.25, 1.0]), st.integers(0, 400)
)
FILTER = RenyiFilter(EPSILON, DELTA, order_for(EPSILON, DELTA))


WORKLOAD = (1.547, 0.1)  # PLD prices 500 steps of it at the limit


def admitted_steps(order: int) -> int:
    guard = RenyiFilter(EPSILON, DELTA, order)
    return max(n for n in range(500) if guard.admits([plan(*WORKLOAD, n)]))


def test_the_filter_admits_six_sevenths_of_the_steps_that_pld_prices_at_its_limit() -> None:
    assert cost([plan(*WORKLOAD, 500)], DELTA).epsilon == pytest.approx(EPSILON, abs=0.01)
    fitted = order_for(EPSILON, DELTA, [plan(*WORKLOAD, 500)])
    assert fitted == 4
    assert [admitted_steps(order) for order in (3, fitted, 5)] == [390, 424, 371]


@settings(max_examples=100, deadline=None)
@given(st.lists(PLANS, max_size=4))
def test_whatever_is_admitted_costs_no_more_than_the_limit(spendings: list[Spending]) -> None:
    accountant = RdpAccountant([FILTER.order], NeighboringRelation.ADD_OR_REMOVE_ONE)
    for spending in spendings:
        for mechanism in spending.mechanisms:
            assert isinstance(mechanism, SampledGaussian)
            if not mechanism.steps:
                continue  # dp-accounting refuses to compose nothing
            event = GaussianDpEvent(mechanism.noise_multiplier)
            accountant.compose(PoissonSampledDpEvent(mechanism.sampling_rate, event), mechanism.steps)
    epsilon = accountant.get_epsilon(DELTA)
    assert epsilon <= EPSILON + 1e-9 if FILTER.admits(spendings) else epsilon > EPSILON - 1e-9


@settings(max_examples=5, deadline=None)
@given(st.lists(PLANS, min_size=1, max_size=2))
def test_pld_never_exceeds_the_filter_s_own_figure(spendings: list[Spending]) -> None:
    used = FILTER.used(spendings)
    assert used > 50 or cost(spendings, DELTA).epsilon <= epsilon_at(FILTER.order, used, DELTA) + 1e-4


@settings(max_examples=50, deadline=None)
@given(st.lists(PLANS, max_size=5).flatmap(lambda s: st.tuples(st.just(s), st.permutations(s))))
def test_the_order_of_events_does_not_matter(both: tuple[list[Spending], list[Spending]]) -> None:
    assert FILTER.used(both[0]) == FILTER.used(both[1])


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 500), st.integers(0, 500))
def test_cutting_a_spending_into_parts_does_not_matter(first: int, second: int) -> None:
    whole = [plan(3.46, 0.25, first + second), plan(0.7, 1.0, 1)]
    parts = [plan(3.46, 0.25, first), plan(0.7, 1.0, 1), plan(3.46, 0.25, second)]
    assert FILTER.used(parts) == FILTER.used(whole)


@pytest.mark.parametrize(("sigma", "rate", "order"), [(0.8, 0.3, 4), (2.0, 0.25, 3), (1.5, 0.01, 8)])
def test_the_cost_covers_adding_and_removing_a_patient(sigma: float, rate: float, order: int) -> None:
    without, taken = norm(0, sigma), norm(1, sigma)

    def divergence(removing: bool) -> float:
        def integrand(x: float) -> float:  # p^α q^(1-α), in logarithms
            q = float(without.logpdf(x))
            p = float(np.logaddexp(np.log1p(-rate) + q, np.log(rate) + taken.logpdf(x)))
            p, q = (p, q) if removing else (q, p)
            return math.exp(order * p + (1 - order) * q)

        low, high = -10 * sigma - order, 10 * sigma + order
        return math.log(quad(integrand, low, high, limit=500, epsabs=0, epsrel=1e-11)[0]) / (order - 1)

    spent = rdp([plan(sigma, rate, 1)], order)
    assert divergence(removing=True) * (1 - 1e-9) <= spent <= divergence(removing=True) * (1 + 1e-6)
    assert divergence(removing=False) <= spent


def test_steps_without_noise_are_never_admitted() -> None:
    assert not RenyiFilter(1e6, DELTA, 2).admits([Spending.of(NonPrivate(steps=1))])
    assert FILTER.admits([Spending.of(NonPrivate(steps=0))])


def test_spendings_of_another_unit_are_refused() -> None:
    patch = Spending.of(SampledGaussian(noise_multiplier=1, sampling_rate=0.1, steps=1), unit=Unit.PATCH)
    with pytest.raises(UsageError, match="patch"):
        FILTER.admits([patch])


@pytest.mark.parametrize(("epsilon", "order"), [(20.0, 3), (8.0, 4), (1.0, 18), (0.1, 125)])
def test_the_order_for_a_limit_is_the_same_on_every_machine(epsilon: float, order: int) -> None:
    assert order_for(epsilon, DELTA) == order


@pytest.mark.parametrize(
    ("epsilon", "delta", "order"), [(8.0, 0.0, 4), (8.0, 1e-5, 1), (1.0, 1e-5, 2), (-1.0, 1e-5, 18)]
)
def test_a_limit_that_leaves_nothing_is_refused(epsilon: float, delta: float, order: int) -> None:
    with pytest.raises(UsageError):
        RenyiFilter(epsilon, delta, order)


def test_an_order_is_fitted_only_to_noised_steps() -> None:
    for workload in ([Spending.of(NonPrivate(steps=1))], [plan(1.0, 0.5, 0)]):
        with pytest.raises(UsageError, match="noised"):
            order_for(EPSILON, DELTA, workload)
