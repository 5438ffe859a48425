"""Privacy costs as JSON objects that carry everything an ε needs in order to mean something.

Numbers are rounded away from optimism to six decimals, so that another machine's last bits of floating
point do not change the bytes of a report.
"""

import math
from collections.abc import Callable, Sequence

from shared.canonical import Json
from shared.ledger.events import Cap
from shared.privacy.accounting import PrivacyCost, cost
from shared.privacy.agreement import contradictions
from shared.privacy.crosscheck import prv_refusal
from shared.privacy.events import Relation, Spending, Unit

Claim = dict[str, Json]
SecondOpinions = Callable[[Sequence[Spending], float], tuple[PrivacyCost, ...]]  # RDP, and a tight one if any

_GRID = 1e6
_SLACK = 1e-3  # of a grid step: differences between machines are far smaller


def claim(cost: PrivacyCost) -> Claim:
    """Return {epsilon, delta, unit, relation, accountant, text}; an infinite ε is null, "∞" in text."""
    finite = math.isfinite(cost.epsilon)
    return {
        "epsilon": round_up(cost.epsilon) if finite else None,
        "delta": cost.delta,
        "unit": cost.unit.value,
        "relation": cost.relation.value,
        "accountant": cost.accountant,
        "text": str(cost),
    }


def priced(spendings: Sequence[Spending], delta: float, second: SecondOpinions | None) -> dict[str, Json]:
    """Return one cost by three accountants: {pld, rdp, tight, tight_refused, disagreements}.

    `tight` is PRV, or the exact Gaussian where nothing was sampled; null with the reason in `tight_refused`.
    `disagreements` is empty when the accountants agree. Without Opacus all but `pld` is null.
    """
    reported = cost(spendings, delta)
    if second is None:
        nothing: dict[str, Json] = {"rdp": None, "tight": None, "tight_refused": None, "disagreements": None}
        return {"pld": claim(reported)} | nothing
    bound, *tight = second(spendings, delta)
    return {
        "pld": claim(reported),
        "rdp": claim(bound),
        "tight": claim(tight[0]) if tight else None,
        "tight_refused": None if tight else prv_refusal(spendings, delta),
        "disagreements": list(contradictions(reported, bound, *tight)),
    }


def cap_claim(cap: Cap) -> Claim:
    """Return a site's cap, in the form of a claim. A cap is a limit somebody set; nothing was computed."""
    limit = PrivacyCost(cap.epsilon, cap.delta, Unit.PATIENT, Relation.ADD_REMOVE, "limit set by the site")
    return claim(limit)


def left_claim(cap: Cap, spent: PrivacyCost) -> Claim:
    """Return the cap minus what is spent at the cap's δ (negative when the cap is crossed).

    Epsilons do not add up exactly: what is left says how near the cap is, not what may be added.
    """
    known = claim(spent)
    meaning = str(spent)[str(spent).index(" (") :]
    if not math.isfinite(spent.epsilon):
        return known | {"text": f"none left{meaning}"}
    left = math.floor((cap.epsilon - round_up(spent.epsilon)) * _GRID + _SLACK) / _GRID
    shown = math.floor(left * 100 + 1e-6) / 100
    return known | {"epsilon": left, "text": f"ε = {shown:.2f} below the cap{meaning}"}


def membership(cost: PrivacyCost) -> dict[str, Json]:
    """Return the best accuracy any test of membership can reach when half of the candidates are members.

    The bound is (e^ε + δ) / (e^ε + 1) (Kairouz, Oh & Viswanath 2015); it holds against an attacker who knows
    everything but whether the one patient took part.
    """
    if math.isinf(cost.epsilon):
        return {"accuracy": 1.0, "text": "no bound: the attacker may be right every time"}
    odds = math.exp(-cost.epsilon)
    best = min(1.0, (1 + cost.delta * odds) / (1 + odds))
    shown = math.ceil(best * 10000 - 1e-6) / 100
    text = f"a coin flip is right 50 % of the time; the best attacker at most {shown:.2f} %"
    return {"accuracy": round_up(best), "text": text}


def shares(parts: Sequence[float]) -> list[Json]:
    """Return shares of a budget, rounded up to six decimals; ∞ becomes null."""
    return [round_up(part) if math.isfinite(part) else None for part in parts]


def round_up(number: float) -> float:
    """Round up to six decimals.

    >>> round_up(8.00514159)
    8.005142
    """
    return math.ceil(number * _GRID - _SLACK) / _GRID
