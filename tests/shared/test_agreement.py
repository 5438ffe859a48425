"""The publication rule: accountants that disagree stop it, with both figures in the sentence."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.privacy.accounting import PLD, PrivacyCost
from shared.privacy.agreement import contradictions, disagreements, second_opinions
from shared.privacy.crosscheck import EXACT_GAUSSIAN, OPACUS_PRV, OPACUS_RDP
from shared.privacy.events import Relation, SampledGaussian, Spending, Unit

DELTA = 1e-5


def plan(sigma: float, rate: float, steps: int) -> Spending:
    return Spending.of(SampledGaussian(noise_multiplier=sigma, sampling_rate=rate, steps=steps))


def priced(epsilon: float, accountant: str) -> PrivacyCost:
    return PrivacyCost(epsilon, DELTA, Unit.PATIENT, Relation.ADD_REMOVE, accountant)


@settings(max_examples=10, deadline=None)
@given(
    st.sampled_from([1.5, 5.0, 40.0, 500.0]),
    st.sampled_from([0.001, 0.02, 0.3, 0.9, 1.0]),
    st.sampled_from([1, 30, 300]),
    st.sampled_from([1e-9, 1e-5, 1e-2]),
)
def test_sound_accountants_agree_on_every_plan(sigma: float, rate: float, steps: int, delta: float) -> None:
    assert disagreements([plan(sigma, rate, steps)], delta) == []


@pytest.mark.parametrize(
    ("rate", "names"), [(1.0, [OPACUS_RDP, EXACT_GAUSSIAN]), (0.25, [OPACUS_RDP, OPACUS_PRV])]
)
def test_every_plan_gets_a_bound_and_a_tight_second_price(rate: float, names: list[str]) -> None:
    assert [c.accountant for c in second_opinions([plan(2.73, rate, 300)], DELTA)] == names


@pytest.mark.parametrize(
    ("pld", "rdp", "prv", "found"),
    [
        (8.0, 8.6, 8.01, 0),
        (8.0, 8.0, 8.0999, 0),
        (8.0, 8.6, 8.11, 1),  # above 0.02 + 1 %
        (8.0, 8.6, 7.89, 1),
        (8.0, 7.999, 8.0, 1),  # above the bound
        (8.0, 7.0, 7.0, 2),
        (8.0, float("inf"), float("inf"), 1),
    ],
)
def test_what_lies_outside_the_rule_is_a_contradiction(pld: float, rdp: float, prv: float, found: int) -> None:
    reported, bound, tight = priced(pld, PLD), priced(rdp, OPACUS_RDP), priced(prv, OPACUS_PRV)
    sentences = contradictions(reported, bound, tight)
    assert len(sentences) == found
    for sentence in sentences:
        assert str(reported) in sentence
        assert str(bound) in sentence or str(tight) in sentence
