"""Rényi differential privacy of events at one order, by dp-accounting (Mironov 2017; no torch).

At order α a mechanism costs its Rényi divergence over neighbouring data sets; costs of one order add up, also
when each step is chosen after seeing the ones before (Feldman & Zrnic 2021).
dp-accounting gives a sampled Gaussian the divergence of "with the unit" from "without", the larger of the two
directions (Mironov, Talwar & Zhang 2019), so that it holds for adding and for removing a unit.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from shared.privacy.accounting import merged
from shared.privacy.events import Spending

# Whole numbers only: there the cost of a sampled Gaussian is a finite sum. At others dp-accounting adds up a
# series that may not converge (q = 0.5, σ = 12, order 1.6: no cost at all, so nothing would be admitted).
ORDERS = tuple(range(2, 1025))


def rdp(spendings: Sequence[Spending], order: int) -> float:
    """Return the Rényi cost (in nats, not an ε) of all `spendings` at `order`; ∞ if anything was not noised.

    Steps of equal mechanisms are added up first and the parts in a fixed order, so that neither the order of
    events nor cutting one into parts changes a bit of the result.
    """
    if not all(s.is_private for s in spendings):
        return math.inf
    return math.fsum(_one_step(sigma, rate, order) * steps for sigma, rate, steps in merged(spendings))


def epsilon_at(order: int, spent: float, delta: float) -> float:
    """Return the ε, at `delta`, of a Rényi cost `spent` at `order` (Balle et al. 2020, Theorem 21)."""
    return max(0.0, spent - _offset(order, delta))


def budget_at(order: int, epsilon: float, delta: float) -> float:
    """Return the largest Rényi cost at `order` that still means `epsilon` at `delta`; it can be negative."""
    return epsilon + _offset(order, delta)


def _offset(order: int, delta: float) -> float:
    return (math.log(delta) + math.log(order)) / (order - 1) - math.log1p(-1 / order)


@lru_cache(maxsize=65536)
def _one_step(noise_multiplier: float, sampling_rate: float, order: int) -> float:
    from dp_accounting import dp_event  # here: a second that every Flower message would pay for
    from dp_accounting.privacy_accountant import NeighboringRelation
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant([order], NeighboringRelation.ADD_OR_REMOVE_ONE)
    event: dp_event.DpEvent = dp_event.GaussianDpEvent(noise_multiplier)
    if sampling_rate < 1:
        event = dp_event.PoissonSampledDpEvent(sampling_rate, event)
    accountant.compose(event)
    spent = float(accountant._rdp[0])
    if not math.isfinite(spent):
        return math.inf  # overflow of a tiny noise multiplier: never take it for nothing
    return max(0.0, spent)  # no public way to read a cost before it becomes an ε
