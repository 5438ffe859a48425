"""Whether the accountants agree: a figure they disagree on is not published.

PLD and a second tight accountant must be within 0.02 + 1 % of each other: PRV reports 0.01 above its own
estimate, and the rest is for the two grids.

RDP bounds the true ε from above, so PLD may not exceed it by more than one interval of its grid of privacy
losses, 1e-4. PLD rounds losses up to that grid, so it can: in a search over plans, only from about 480,000 steps
whose rate / noise multiplier is under 3e-4, and by up to 0.03. Such a plan is refused although nothing is wrong: a
slack that let it pass would also let pass an RDP figure that is too low by as much, for every other plan.
"""

import math
from collections.abc import Sequence

from shared.privacy.accounting import PrivacyCost, cost
from shared.privacy.crosscheck import gaussian_cost, prv_cost, rdp_cost
from shared.privacy.events import Spending

_GRID = 1e-4
_ABSOLUTE, _RELATIVE = 0.02, 0.01


def second_opinions(spendings: Sequence[Spending], delta: float) -> tuple[PrivacyCost, ...]:
    """Return Opacus' RDP bound and, where there is one, a tight second price (exact Gaussian, else PRV).

    Raises:
        UsageError: different units, δ outside (0, 1), or Opacus is not installed.
    """
    tight = gaussian_cost(spendings, delta) or prv_cost(spendings, delta)
    return (rdp_cost(spendings, delta), *((tight,) if tight else ()))


def disagreements(spendings: Sequence[Spending], delta: float) -> list[str]:
    """Return one sentence for each accountant that contradicts PLD; publish only if there is none.

    Where no tight second price exists (`crosscheck.prv_refusal` says why), only the RDP bound is held against it.

    Raises:
        UsageError: different units, δ outside (0, 1), or Opacus is not installed.
    """
    reported = cost(spendings, delta)
    bound, *tight = second_opinions(spendings, delta)
    return contradictions(reported, bound, *tight)


def contradictions(reported: PrivacyCost, bound: PrivacyCost, *tight: PrivacyCost) -> list[str]:
    """Return how `reported` contradicts an upper `bound` and prices as `tight` as its own."""
    found = []
    if reported.epsilon > bound.epsilon + _GRID:
        found.append(f"{reported} exceeds an upper bound of the same events, {bound}")
    for other in tight:
        if not _close(reported.epsilon, other.epsilon):
            found.append(f"{reported} differs from {other} by more than 0.02 + 1 %")
    return found


def _close(one: float, two: float) -> bool:
    if math.isinf(one) or math.isinf(two):
        return one == two
    return abs(one - two) <= _ABSOLUTE + _RELATIVE * max(one, two)
