"""The figures of the federation as a whole: patients at one site and at several, and ε as a function of δ."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from server.report.accounts import UNBOUNDED, Account, costliest, guarantee, if_planned
from server.report.claims import SecondOpinions, claim, membership, priced
from server.report.words import DISJOINT, FIXED_PLANS, LATER_PLAN, NOT_JOINED, OVERLAP, UNDECLARED
from shared.canonical import Json
from shared.ledger.budget import filter_of
from shared.ledger.view import RunView
from shared.privacy.accounting import PrivacyCost, cost
from shared.privacy.events import Spending
from shared.privacy.overlap import overlap_cost
from shared.privacy.renyi import epsilon_at

DELTAS = (1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)

Group = tuple[list[str], Account]


def federation_json(view: RunView, groups: Sequence[Group], second: SecondOpinions | None) -> dict[str, Json]:
    """Return the terms, and the cost to a patient at 1, m and m + 1 sites, where m is declared."""
    terms = view.federation
    levels = sorted({1, terms.overlap, terms.overlap + 1})
    return {
        "public_key": terms.public_key,
        "delta": terms.delta,
        "overlap": terms.overlap,
        "costliest": costliest(groups)[0][0] if groups else None,
        "levels": [_level(groups, m, terms.overlap, second) for m in levels] if groups else [],
    }


def curve(groups: Sequence[Group]) -> dict[str, Json] | None:
    """Return ε at several δ, the chosen one among them, for the costliest group; None if there is no finite ε."""
    if not groups:
        return None
    sites, mine = costliest(groups)
    if not all(s.is_private for s in mine.everything):
        return None
    deltas = sorted({*DELTAS, mine.reserve.delta})
    points: list[Json] = [claim(cost(mine.everything, delta)) for delta in deltas]
    return {"sites": list(sites), "chosen": mine.reserve.delta, "points": points}


def _level(groups: Sequence[Group], m: int, declared: int, second: SecondOpinions | None) -> dict[str, Json]:
    meaning = DISJOINT if m == 1 else OVERLAP if m <= declared else UNDECLARED
    sure, condition = joint_guarantee(groups, m)
    odds = {"if_planned": membership(joint_cost(groups, m)), "guaranteed": membership(sure)}
    return {
        "sites": m,
        "meaning": meaning.format(m=m, declared=declared),
        "if_planned": {
            "cost": _priced_overlap(groups, m, second if m <= declared else None),
            "condition": FIXED_PLANS,
        },
        "guaranteed": {"cost": claim(sure), "condition": condition},
        "membership": dict(odds),
    }


def _priced_overlap(groups: Sequence[Group], m: int, second: SecondOpinions | None) -> dict[str, Json]:
    """Return the cost at m sites; the other accountants price it where the costliest sites are its choice."""
    delta = groups[0][1].reserve.delta
    most = joint_cost(groups, m)
    ranked = sorted(groups, key=lambda group: -if_planned(group[1]).epsilon)
    chosen = [mine.everything for sites, mine in ranked for _ in sites][:m]
    flat = [spending for everything in chosen for spending in everything]
    same = cost(flat, delta).epsilon == most.epsilon
    return priced(flat, delta, second if same else None) | {"pld": claim(most)}


def joint_cost(groups: Sequence[Group], m: int) -> PrivacyCost:
    """Return the most that a patient at m sites has spent, if all plans were fixed beforehand."""
    return overlap_cost(_by_site(groups, whole=False), groups[0][1].reserve.delta, m)


def joint_guarantee(groups: Sequence[Group], m: int) -> tuple[PrivacyCost, str]:
    """Return what a patient at m sites is guaranteed whatever was chosen, and the condition.

    One first plan everywhere: PLD of the m costliest reservations. Otherwise, where all caps name one order, the
    filters join: Rényi costs of one order add up also when sites choose in the light of each other's results, so
    the sum of the m largest budgets bounds them. Several first plans are no exception: one of them may have run at
    another of the patient's sites before this site saw the other.
    """
    sure = [guarantee(mine) for _, mine in groups]
    worst = max(sure, key=lambda one: one.cost.epsilon)
    if m == 1 or worst.cost.accountant == UNBOUNDED:
        return worst.cost, worst.condition
    if all(mine.is_first and len(mine.first_plans) == 1 for _, mine in groups):
        return overlap_cost(_by_site(groups, whole=True), worst.cost.delta, m), worst.condition
    rules = [filter_of(mine.reserve.cap) for sites, mine in groups for _ in sites]
    fits = all(filter_of(a.reserve.cap).admits(a.first_plans) for _, a in groups if a.is_first)
    if len({(rule.order, rule.delta) for rule in rules}) > 1 or not fits:
        return replace(worst.cost, epsilon=float("inf"), accountant=UNBOUNDED), NOT_JOINED
    order, delta = rules[0].order, rules[0].delta
    joined = sum(sorted((rule.budget for rule in rules), reverse=True)[:m])
    accountant = f"sites' caps, kept by Rényi filters of order {order:g}, joined"
    return replace(worst.cost, epsilon=epsilon_at(order, joined, delta), accountant=accountant), LATER_PLAN


def _by_site(groups: Sequence[Group], *, whole: bool) -> Mapping[str, Sequence[Spending]]:
    """Return each site's spendings; with `whole`, its reservation alone."""
    return {
        site: [mine.reserve.spending] if whole else mine.everything for sites, mine in groups for site in sites
    }
