"""Composition: several models on one cohort, disjoint sites, and patients at several sites."""

from collections.abc import Mapping, Sequence
from itertools import chain, combinations

import pytest

from shared.errors import UsageError
from shared.privacy.accounting import PLD, cost
from shared.privacy.events import NonPrivate, SampledGaussian, Spending
from shared.privacy.overlap import BOUND, overlap_cost

DELTA = 1e-5


def plan(sigma: float, rate: float, steps: int) -> Spending:
    return Spending.of(SampledGaussian(noise_multiplier=sigma, sampling_rate=rate, steps=steps))


MODELS = {
    8.00: plan(3.46, 0.25, 500),
    6.70: plan(5.573, 0.25, 1000),
    4.34: plan(3.622, 0.2, 300),
    1.99: plan(2.003, 1.0, 1),
}


def test_four_different_models_on_the_same_patients_cost_less_than_their_sum() -> None:
    for alone, model in MODELS.items():
        assert cost([model], DELTA).epsilon == pytest.approx(alone, abs=0.01)
    together = cost(list(MODELS.values()), DELTA).epsilon
    assert together == pytest.approx(12.89, abs=0.05)
    assert together < sum(cost([model], DELTA / 4).epsilon for model in MODELS.values())


def test_training_in_turn_and_interleaved_cost_the_same() -> None:
    rounds = [[plan(3.46, 0.25, 50)] * 4, [plan(1.1, 0.02, 200)] * 4]
    in_turn = list(chain(*rounds))
    interleaved = list(chain(*zip(*rounds, strict=True)))
    assert cost(in_turn, DELTA) == cost(interleaved, DELTA) == cost(interleaved[::-1], DELTA)


def test_disjoint_sites_cost_their_maximum() -> None:
    sites = {"a": [MODELS[1.99]], "b": [MODELS[4.34]], "c": []}
    assert overlap_cost(sites, DELTA, 1) == cost([MODELS[4.34]], DELTA)


@pytest.mark.parametrize(("overlap", "epsilon"), [(1, 8.00), (2, 12.2), (3, 15.7), (5, 21.9)])
def test_a_patient_at_several_alike_sites_pays_for_each(overlap: int, epsilon: float) -> None:
    sites = {name: [MODELS[8.00]] for name in "abcde"}
    assert overlap_cost(sites, DELTA, overlap).epsilon == pytest.approx(epsilon, abs=0.06)


def worst_by_hand(sites: Mapping[str, Sequence[Spending]], size: int) -> float:
    return max(cost(list(chain(*chosen)), DELTA).epsilon for chosen in combinations(sites.values(), size))


def test_overlap_is_the_dearest_choice_of_sites() -> None:
    sites = {
        "a": [MODELS[1.99]],
        "b": [MODELS[4.34], MODELS[1.99]],
        "c": [MODELS[1.99]],
        "d": [MODELS[6.70]],
        "e": [],
    }
    for overlap in (1, 2, 3):
        found = overlap_cost(sites, DELTA, overlap)
        assert found.epsilon == pytest.approx(worst_by_hand(sites, overlap), abs=1e-9)
        assert found.accountant == PLD


def test_too_many_choices_give_a_bound_that_says_so_and_is_above_the_dearest() -> None:
    sites = {f"site-{n}": [plan(10.0 + n, 1.0, 10)] for n in range(12)}  # the least noise costs most
    found = overlap_cost(sites, DELTA, 3)
    dearest = cost([plan(10.0 + n, 1.0, 10) for n in range(3)], DELTA).epsilon
    assert dearest <= found.epsilon <= 1.15 * dearest
    assert found.accountant == BOUND


def test_more_overlap_than_sites_is_all_sites_and_none_is_refused() -> None:
    sites = {"a": [MODELS[1.99]], "b": [MODELS[1.99]]}
    assert overlap_cost(sites, DELTA, 9) == overlap_cost(sites, DELTA, 2)
    assert overlap_cost({}, DELTA, 1).epsilon == 0.0
    with pytest.raises(UsageError, match="overlap"):
        overlap_cost(sites, DELTA, 0)


@pytest.mark.parametrize("number", [2, 100])
def test_one_site_without_noise_makes_the_overlap_unbounded(number: int) -> None:
    sites = {f"site-{n}": [plan(10.0 + n, 1.0, 10)] for n in range(number)}
    sites["bare"] = [Spending.of(NonPrivate(steps=1))]
    assert overlap_cost(sites, DELTA, 2).epsilon == float("inf")
