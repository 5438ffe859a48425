"""What each site's patients have spent over all runs, by the functions that make the budget report."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from server.portal.books import Ledger
from server.report.accounts import Account, account, guarantee, if_planned
from server.report.claims import Claim, cap_claim, claim, left_claim
from server.report.federation import federation_json
from server.report.sites import composition_rows, filter_json, spending_json
from server.report.words import FIXED_PLANS
from shared.ledger.view import RunView
from shared.privacy.accounting import cost

_KEPT = 16  # ledgers whose figures are remembered: numerical composition takes a second


@dataclass(frozen=True)
class Budget:
    """The budget of one cohort: everything its patients have spent, and what may still be.

    Attributes:
        place: among all budgets of the ledger, from 0; what addresses name it by.
        name: the site; with the cohort's first digits where a site has had several.
        site: as the ledger has it.
        patients: as declared.
        runs: how many have used it, or set budget aside.
        is_settled: whether the last run has said what it executed; until then all it reserved counts.
        cap: the limit the site set.
        guaranteed: what holds whatever was chosen, and on which condition.
        planned: what holds if every plan was fixed beforehand, and on which condition.
        left: cap less `planned`, in words; epsilons do not add up exactly.
        reserved: what the last run set aside and has not settled, in words; "" if nothing.
        share: how full the cap's Rényi filter is; None where no cap holds.
        history: a row for every run on these patients, with its cost alone and the total so far.
        apart: runs that cannot be composed, with the reason.
    """

    place: int
    name: str
    site: str
    patients: int
    runs: int
    is_settled: bool
    cap: Claim
    guaranteed: tuple[Claim, str]
    planned: tuple[Claim, str]
    left: Claim
    reserved: str
    share: dict[str, Any] | None
    history: tuple[dict[str, Any], ...]
    apart: tuple[str, ...]

    @property
    def drawn(self) -> dict[str, Any]:
        """The budget as the report's charts take it."""
        return {"sites": [self.name], "filter": self.share}


@dataclass(frozen=True)
class Whole:
    """The budget of all sites together: what a patient at one, or at several, may have spent."""

    delta: float
    overlap: int
    levels: tuple[dict[str, Any], ...]


@lru_cache(maxsize=_KEPT)
def budgets(ledger: Ledger) -> tuple[Budget, ...]:
    """Return the budget of every cohort that a site set something aside for, in order of enrolment."""
    return tuple(_budget(place, *found) for place, found in enumerate(_accounts(ledger)))


@lru_cache(maxsize=_KEPT)
def whole(ledger: Ledger) -> Whole:
    """Return what is spent in all, every cohort counted as a site of its own."""
    accounts = _accounts(ledger)
    terms = ledger.terms
    if not accounts:
        return Whole(terms.delta, terms.overlap, ())
    found: Any = federation_json(accounts[-1][1], [([name], mine) for name, _, mine in accounts], None)
    return Whole(terms.delta, terms.overlap, tuple(found["levels"]))


def untouched(ledger: Ledger) -> list[str]:
    """Return the enrolled sites that have set nothing aside."""
    used = {site for view in ledger.runs.values() for site in view.reserves}
    return [site for site in ledger.enrolled if site not in used]


def _accounts(ledger: Ledger) -> list[tuple[str, RunView, Account]]:
    """Return (name, last run, account) of each cohort; the account of its last run holds all earlier ones."""
    last: dict[tuple[str, str], RunView] = {}
    for view in ledger.runs.values():
        for site, reserve in view.reserves.items():
            last[site, reserve.cohort] = view
    order = list(ledger.enrolled)
    keys = sorted(last, key=lambda key: order.index(key[0]) if key[0] in order else len(order))
    sites = [site for site, _ in keys]
    return [
        (
            site if sites.count(site) == 1 else f"{site}, cohort {cohort[:8]}",
            last[site, cohort],
            account(last[site, cohort], site),
        )
        for site, cohort in keys
    ]


def _budget(place: int, name: str, view: RunView, mine: Account) -> Budget:
    reserve, sure = mine.reserve, guarantee(mine)
    at_cap = cost(mine.everything, reserve.cap.delta)
    return Budget(
        place=place,
        name=name,
        site=reserve.site,
        patients=view.enrolled[reserve.site].patients if reserve.site in view.enrolled else 0,
        runs=len(reserve.past) + 1,
        is_settled=mine.settle is not None,
        cap=cap_claim(reserve.cap),
        guaranteed=(claim(sure.cost), sure.condition),
        planned=(claim(if_planned(mine)), FIXED_PLANS),
        left=left_claim(reserve.cap, at_cap),
        reserved="" if mine.settle else str(spending_json(reserve.spending)["text"]),
        share=filter_json(mine),
        history=_history(view, mine),
        apart=tuple(f"run {past.run[:12]} ({past.recipe}, {past.variant})" for past in mine.apart),
    )


def _history(view: RunView, mine: Account) -> tuple[dict[str, Any], ...]:
    rows: Sequence[Any] = composition_rows(view, mine, None)
    return tuple(rows)
