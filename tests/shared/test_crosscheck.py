"""Second opinions: no torch, Opacus' own figures, exact Gaussians, and a reason where there is no figure."""

import importlib.util
import json
import math
import subprocess
import sys

import pytest
from dp_accounting import get_epsilon_gaussian
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.accountants import PRVAccountant, RDPAccountant

from shared.errors import UsageError
from shared.privacy import opacus_accountants
from shared.privacy.crosscheck import gaussian_cost, prv_cost, prv_refusal, rdp_cost
from shared.privacy.events import NonPrivate, SampledGaussian, Spending
from shared.privacy.gaussian import gaussian_epsilon

DELTA = 1e-5
PLANS = ([(1.1, 0.02, 2000)], [(0.6, 1.0, 1)], [(0.6, 1.0, 1), (1.1, 0.02, 2000)], [(20.0, 0.25, 10)])

# What an auditor's machine would run; it prints the figures and which modules were loaded.
OFFLINE = """
import json, sys
from shared.privacy.crosscheck import prv_cost, rdp_cost
from shared.privacy.events import SampledGaussian, Spending
found = []
for parts in json.loads(sys.argv[1]):
    made = [SampledGaussian(noise_multiplier=s, sampling_rate=q, steps=n) for s, q, n in parts]
    spent = [Spending.of(*made)]
    found.append([rdp_cost(spent, 1e-5).epsilon, prv_cost(spent, 1e-5).epsilon])
print(json.dumps([found, [name for name in ("torch", "opacus") if name in sys.modules]]))
"""


def plan(sigma: float, rate: float, steps: int) -> Spending:
    return Spending.of(SampledGaussian(noise_multiplier=sigma, sampling_rate=rate, steps=steps))


@pytest.mark.filterwarnings("ignore")  # of the real accountants, at q = 1
def test_an_audit_without_torch_gets_the_figures_of_the_real_opacus_accountants() -> None:
    command = [sys.executable, "-c", OFFLINE, json.dumps(PLANS)]
    found, loaded = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert loaded == []
    for (rdp, prv), parts in zip(found, PLANS, strict=True):
        real_rdp, real_prv = RDPAccountant(), PRVAccountant()
        real_rdp.history = real_prv.history = sorted(parts)
        assert rdp == real_rdp.get_epsilon(DELTA)
        assert prv == pytest.approx(real_prv.get_epsilon(DELTA), rel=1e-9)


def test_a_machine_without_opacus_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not opacus_accountants.installed()
    with pytest.raises(UsageError, match="Opacus is not installed"):
        opacus_accountants._folder()


@settings(max_examples=200)
@given(st.floats(0.01, 100), st.floats(1e-12, 0.5))
def test_the_exact_gaussian_agrees_with_an_independent_implementation(mu: float, delta: float) -> None:
    assert gaussian_epsilon(mu, delta) == pytest.approx(get_epsilon_gaussian(1 / mu, delta), rel=1e-6, abs=1e-6)


def test_unsampled_gaussians_compose_exactly_to_one() -> None:
    one = gaussian_cost([plan(1 / math.sqrt(3 / 4 + 5), 1.0, 1)], DELTA)
    parts = gaussian_cost([plan(2.0, 1.0, 3), plan(1.0, 1.0, 5)], DELTA)
    assert one
    assert parts
    assert parts.epsilon == pytest.approx(one.epsilon, abs=1e-9)
    assert gaussian_cost([plan(2.0, 0.5, 3)], DELTA) is None


@pytest.mark.parametrize("parts", [[(0.6, 1.0, 1)], [(13.4, 1.0, 500)]])
def test_prv_is_right_without_sampling(parts: list[tuple[float, float, int]]) -> None:
    spent = [plan(*part) for part in parts]
    exact, prv = gaussian_cost(spent, DELTA), prv_cost(spent, DELTA)
    assert exact
    assert prv
    assert exact.epsilon <= prv.epsilon <= exact.epsilon + 0.011


@pytest.mark.parametrize(
    ("spent", "delta", "why"),
    [
        (plan(0.1, 0.5, 100_000), DELTA, "grid"),
        (plan(2.73, 0.25, 300), 1e-17, "Floating point"),
    ],
)
def test_where_prv_cannot_price_there_is_a_reason_and_no_figure(spent: Spending, delta: float, why: str) -> None:
    assert prv_cost([spent], delta) is None
    assert why in (prv_refusal([spent], delta) or "")


def test_nothing_costs_nothing_and_no_noise_costs_everything() -> None:
    bare = Spending.of(NonPrivate(steps=1))
    for price in (rdp_cost, prv_cost, gaussian_cost):
        nothing, everything = price([], DELTA), price([bare, plan(1.0, 1.0, 1)], DELTA)
        assert nothing
        assert everything
        assert nothing.epsilon == 0.0
        assert math.isinf(everything.epsilon)
    assert prv_refusal([bare], DELTA) is None
    assert rdp_cost([plan(1.0, 0.001, 5)], 0.5).epsilon == 0.0  # Opacus alone would say -0.69
