"""The report's first lines: what an auditor or a data steward can read in two minutes."""

import math

from server.claims import cap_claim
from server.report_sites import split_past
from shared.canonical import Json
from shared.ledger.release_rules import objections
from shared.ledger.view import RunView
from shared.privacy.accounting import PrivacyCost, cost

_WEAK = 0.95  # accuracy of the best attacker above which the bound alone protects little


def summary(view: RunView, odds: dict[str, Json]) -> list[Json]:
    """Return a few sentences; `odds` is the membership bound of the costliest site (`claims.membership`)."""
    lines: list[Json] = [_who(view)]
    if view.reserves:
        lines += _costs(view, odds)
        lines.append(_nearest_cap(view))
    lines.append(_publication(view))
    return lines


def total(view: RunView, site: str, delta: float) -> PrivacyCost:
    """Return the cost of everything that composes on the site's cohort, this run included."""
    reserve, spent = view.reserves[site], view.spent(site)
    before, _ = split_past(reserve, spent)
    return cost([*(p.spending for p in before), spent], delta)


def costliest(view: RunView) -> str:
    """Return the site whose patients have the largest cost, with all that was before; the first of equals."""
    return max(view.reserves, key=lambda site: total(view, site, view.reserves[site].delta).epsilon)


def _who(view: RunView) -> str:
    run, patients = view.run, sum(view.enrolled[site].patients for site in view.reserves)
    plan = f"recipe {run.recipe}, variant {run.variant}, preset {run.preset}"
    done = f"{len(view.rounds)} of {run.rounds} planned rounds"
    if not view.reserves:
        return f"No site set budget aside for this run ({plan})."
    sites = _count(len(view.reserves), "site")
    return f"{sites} with {patients} declared patients took part ({plan}; {done})."


def _costs(view: RunView, odds: dict[str, Json]) -> list[Json]:
    site = costliest(view)
    reserve = view.reserves[site]
    whole = total(view, site, reserve.delta)
    if math.isinf(whole.epsilon):
        return [f"There is no limit to what this run may reveal of a patient: {whole}."]
    earlier = len(split_past(reserve, view.spent(site))[0])
    alone = cost([view.spent(site)], reserve.delta)
    first = f"For a patient of {site}, where it costs most, this run costs {alone}."
    if earlier:
        first += f" With {_count(earlier, 'earlier run')} on the same patients it comes to {whole}."
    accuracy = odds["accuracy"]
    weak = isinstance(accuracy, float) and accuracy > _WEAK
    caveat = " A bound as large as this says little by itself." if weak else ""
    words = (
        "In words: someone who sees all that ever left the site, and knows everything but whether this one "
        f"patient took part, has to guess. {_sentence(odds)}{caveat}"
    )
    return [first, words]


def _nearest_cap(view: RunView) -> str:
    def left(site: str) -> float:
        cap = view.reserves[site].cap
        return cap.epsilon - total(view, site, cap.delta).epsilon

    site = min(view.reserves, key=left)
    cap, rest = view.reserves[site].cap, left(site)
    limit = f"{cap_claim(cap)['text']} for everything done with its patients"
    if math.isinf(rest):
        return f"The cap of {site}, {limit}, cannot hold for this run."
    if rest < 0:
        return f"{site} is over its cap, {limit}."
    return f"Nearest to its cap is {site}: the cap is {limit}, and {math.floor(rest * 100) / 100:.2f} is left."


def _publication(view: RunView) -> str:
    reasons = objections(view)
    if reasons:
        return "Nothing made from this run may be published: " + "; ".join(reasons) + "."
    if not view.releases:
        return "Synthetic data from this run may be published; none has been so far."
    cases = ", ".join(str(r.cases) for r in view.releases)
    return f"Published: {_count(len(view.releases), 'data set')} ({cases} synthetic cases)."


def _sentence(odds: dict[str, Json]) -> str:
    text = str(odds["text"])
    return f"{text[:1].upper()}{text[1:]}."


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")
