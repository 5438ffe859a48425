"""What events cost: (ε, δ) by dp-accounting's PLD, and σ from a target.

PLD (Koskela et al. 2020; Doroshenko et al. 2022, "connect the dots") is tight and is what Willis reports;
Opacus' RDP accountant is an independent upper bound shown beside it (`shared.privacy.crosscheck`).
PLD prices plans declared in advance; it is not a filter for adaptively chosen ones (arXiv 2602.06756).

>>> str(cost([Spending.of(SampledGaussian(noise_multiplier=0.6, sampling_rate=1.0, steps=1))], 1e-5))
'ε = 8.01 (δ = 1e-05; unit: patient; add/remove; PLD, dp-accounting)'
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import TYPE_CHECKING

from shared.errors import UsageError
from shared.privacy.events import Relation, SampledGaussian, Spending, Unit

if TYPE_CHECKING:  # it takes a second to import, which every Flower message would pay for
    from dp_accounting.pld.privacy_loss_distribution import PrivacyLossDistribution

PLD = "PLD, dp-accounting"
_FINE = 1e-4  # privacy-loss grid; the rounding is pessimistic, so ε stays an upper bound
_COARSE = 2e-3  # ten times faster, and still an upper bound: finds the neighbourhood of σ


@dataclass(frozen=True)
class PrivacyCost:
    """An ε that cannot be printed without what gives it meaning."""

    epsilon: float
    delta: float
    unit: Unit
    relation: Relation
    accountant: str

    def __str__(self) -> str:
        return (
            f"ε = {format_epsilon(self.epsilon)} (δ = {self.delta:g}; unit: {self.unit.value}; "
            f"{self.relation.value}; {self.accountant})"
        )


def format_epsilon(epsilon: float) -> str:
    """Round up to two decimals, so that a printed ε never understates."""
    return "∞" if math.isinf(epsilon) else f"{math.ceil(epsilon * 100 - 1e-6) / 100:.2f}"


def cost(spendings: Sequence[Spending], delta: float) -> PrivacyCost:
    """Return the cost of everything in `spendings` done to one cohort (adaptive in data, fixed in plan).

    Raises:
        UsageError: spendings of different units, or δ outside (0, 1).
    """
    unit, relation = common_unit(spendings)
    check_delta(delta)
    if not all(s.is_private for s in spendings):
        return PrivacyCost(math.inf, delta, unit, relation, PLD)
    return PrivacyCost(_pld_epsilon(merged(spendings), delta), delta, unit, relation, PLD)


def check_delta(delta: float) -> None:
    """Raise UsageError unless 0 < δ < 1."""
    if not 0 < delta < 1:
        raise UsageError(f"delta={delta:g}: choose a value between 0 and 1, such as 1e-5")


def common_unit(spendings: Sequence[Spending]) -> tuple[Unit, Relation]:
    """Return the unit and relation all `spendings` share; they cannot be composed otherwise."""
    kinds = {(s.unit, s.relation) for s in spendings} or {(Unit.PATIENT, Relation.ADD_REMOVE)}
    if len(kinds) > 1:
        raise UsageError(f"events of different privacy units cannot be added up: {sorted(kinds)}")
    return next(iter(kinds))


def merged(spendings: Sequence[Spending]) -> tuple[tuple[float, float, int], ...]:
    """Return (noise multiplier, sampling rate, steps), equal mechanisms added up, in a fixed order."""
    total: Counter[tuple[float, float]] = Counter()
    for spending in spendings:
        for mechanism in spending.mechanisms:
            if isinstance(mechanism, SampledGaussian):
                total[mechanism.noise_multiplier, mechanism.sampling_rate] += mechanism.steps
    return tuple((s, q, n) for (s, q), n in sorted(total.items()) if n)


@lru_cache(maxsize=4096)
def _pld_epsilon(mechanisms: tuple[tuple[float, float, int], ...], delta: float, interval: float = _FINE) -> float:
    return float(_composed(mechanisms, interval).get_epsilon_for_delta(delta)) if mechanisms else 0.0


@lru_cache(maxsize=32)
def _composed(mechanisms: tuple[tuple[float, float, int], ...], interval: float) -> "PrivacyLossDistribution":
    """Return the distribution of all steps together, as dp-accounting's PLDAccountant composes it."""
    parts = []
    for noise_multiplier, sampling_rate, steps in mechanisms:
        if sampling_rate < 1:
            parts.append(_one(noise_multiplier, sampling_rate, interval).self_compose(steps))
        else:  # unsampled Gaussians compose to one Gaussian
            parts.append(_one(noise_multiplier / math.sqrt(steps), 1.0, interval))
    return reduce(lambda total, part: total.compose(part), parts)


@lru_cache(maxsize=64)
def _one(noise_multiplier: float, sampling_rate: float, interval: float) -> "PrivacyLossDistribution":
    """Return the distribution of one step. Most of the time goes here, and reports ask for it again and again."""
    from dp_accounting.pld.privacy_loss_distribution import from_gaussian_mechanism
    from dp_accounting.privacy_accountant import NeighboringRelation

    return from_gaussian_mechanism(
        noise_multiplier,
        value_discretization_interval=interval,
        sampling_prob=sampling_rate,
        neighboring_relation=NeighboringRelation.ADD_OR_REMOVE_ONE,
    )


def noise_multiplier_for(epsilon: float, delta: float, sampling_rate: float, steps: int) -> float:
    """Return the smallest σ (to 1e-3, rounded up) whose PLD cost is at most `epsilon` at `delta`.

    Raises:
        UsageError: ε, δ, q or the number of steps make no sense.
    """
    if not (epsilon > 0 and math.isfinite(epsilon)):
        raise UsageError(f"epsilon={epsilon:g}: choose a positive number, or --unsafe-non-private by name")
    if not (0 < sampling_rate <= 1 and steps >= 1):
        raise UsageError(f"sampling_rate={sampling_rate:g}, steps={steps}: no such plan")

    def affordable(thousandths: int, interval: float) -> bool:
        return _pld_epsilon(((thousandths / 1000, sampling_rate, steps),), delta, interval) <= epsilon

    low, high = 0, 500  # the coarse answer lies in (low, high]
    while not affordable(high, _COARSE):
        low, high = high, high * 2
        if high > 10_000_000:
            raise UsageError(f"epsilon={epsilon:g} at delta={delta:g} is out of reach for {steps} steps")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if affordable(middle, _COARSE) else (middle, high)
    while high > 1 and affordable(high - 1, _FINE):
        high -= 1
    return high / 1000
