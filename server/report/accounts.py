"""What stands behind the report's figures: everything a site's patients have spent, as events, and what bounds it.

Two figures exist and neither replaces the other. `if_planned` is PLD of all that ran; it is the cost only if
every plan was fixed before any result was seen. `guarantee` is what holds whatever was chosen on the way.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from server.report.words import APART, CAP_CROSSED, FIRST_PLAN, LATER_PLAN, NO_GUARANTEE
from shared.ledger.budget import is_first, over_cap, patient_level
from shared.ledger.events import Past, Reserve, Settle
from shared.ledger.view import RunView
from shared.privacy.accounting import PrivacyCost, cost
from shared.privacy.events import Spending

UNBOUNDED = "nothing bounds it"


@dataclass(frozen=True)
class Account:
    """One cohort's spending as a run left it."""

    reserve: Reserve
    settle: Settle | None
    before: tuple[Past, ...]  # earlier runs that compose with this one
    apart: tuple[Past, ...]  # those that cannot: ε = ∞, or another unit

    @property
    def spent(self) -> Spending:
        """What counts as spent by this run: what was settled, or all that was reserved."""
        return self.settle.spending if self.settle else self.reserve.spending

    @property
    def everything(self) -> list[Spending]:
        """All that composes on the cohort, this run last."""
        return [*(past.spending for past in self.before), self.spent]

    @property
    def is_first(self) -> bool:
        """Whether the plan was fixed before any result from the cohort: the rule of `shared.ledger.budget`."""
        return is_first(self.reserve.past)

    @property
    def first_plans(self) -> list[Spending]:
        """The plans fixed together with this one, and this one, all in full."""
        return [*patient_level(self.reserve.past), self.reserve.spending]


@dataclass(frozen=True)
class Guarantee:
    """A cost, and the condition under which it holds."""

    cost: PrivacyCost
    condition: str


def account(view: RunView, site: str) -> Account:
    """Return the account of a site that reserved."""
    reserve, spent = view.reserves[site], view.spent(site)
    kind = (spent.unit, spent.relation)
    fits = [p.spending.is_private and (p.spending.unit, p.spending.relation) == kind for p in reserve.past]
    before = tuple(p for p, ok in zip(reserve.past, fits, strict=True) if ok)
    apart = tuple(p for p, ok in zip(reserve.past, fits, strict=True) if not ok)
    return Account(reserve, view.settles.get(site), before, apart)


def grouped(view: RunView) -> list[tuple[list[str], Account]]:
    """Return (sites, account): sites whose accounts have the same figures share one, in order of the ledger."""
    found: dict[tuple[object, ...], tuple[list[str], Account]] = {}
    for site in view.reserves:
        mine = account(view, site)
        reserve, settle = mine.reserve, mine.settle
        done = (settle.rounds, settle.spending) if settle else None
        key = (reserve.spending, reserve.delta, reserve.cap, reserve.past, reserve.noise_source, done)
        found.setdefault(key, ([], mine))[0].append(site)
    return list(found.values())


def if_planned(mine: Account) -> PrivacyCost:
    """Return PLD of everything that ran: the cost if all plans were fixed before any result was seen."""
    return cost(mine.everything, mine.reserve.delta)


def guarantee(mine: Account) -> Guarantee:
    """Return what the patients are guaranteed whatever was chosen, stopped or asked because of results.

    First plans were fixed before their cohort was touched; stopping early, or leaving one out, reveals no more
    than all of them, so PLD of the whole reservations bounds them. Later plans may rest on earlier results: there
    the site's cap holds, through the Rényi filter of the order the cap names (Feldman & Zrnic 2021).
    """
    reserve, cap = mine.reserve, mine.reserve.cap
    if not (reserve.spending.protects_patients and mine.spent.protects_patients):
        return Guarantee(_unbounded(reserve), NO_GUARANTEE)
    if over_cap(cap, reserve.past, reserve.spending):
        return Guarantee(_unbounded(reserve), CAP_CROSSED)
    if mine.apart:
        return Guarantee(_unbounded(reserve), APART)
    if mine.is_first:
        return Guarantee(cost(mine.first_plans, reserve.delta), FIRST_PLAN)
    unit, relation = reserve.spending.unit, reserve.spending.relation
    accountant = f"the site's cap, kept by a Rényi filter of order {cap.order:g}"
    return Guarantee(PrivacyCost(cap.epsilon, cap.delta, unit, relation, accountant), LATER_PLAN)


def costliest(accounts: Sequence[tuple[list[str], Account]]) -> tuple[list[str], Account]:
    """Return the group whose patients have the largest cost if planned; the first of equals."""
    return max(accounts, key=lambda group: if_planned(group[1]).epsilon)


def _unbounded(reserve: Reserve) -> PrivacyCost:
    spending = reserve.spending
    return PrivacyCost(math.inf, reserve.delta, spending.unit, spending.relation, UNBOUNDED)
