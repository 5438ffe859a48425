"""The report's first lines: what an auditor or a data steward can read in two minutes."""

import math
from collections.abc import Sequence

from server.report.accounts import Account, Guarantee, costliest, guarantee, if_planned
from server.report.claims import membership
from server.report.words import FIXED_PLANS
from shared.canonical import Json
from shared.ledger.release_rules import kind_of, objections
from shared.ledger.view import RunView
from shared.privacy.accounting import cost

_WEAK = 0.95  # accuracy of the best attacker above which the bound alone protects little


def summary(view: RunView, groups: Sequence[tuple[list[str], Account]]) -> list[Json]:
    """Return a few sentences."""
    lines: list[Json] = [_who(view)]
    if groups:
        sites, mine = costliest(groups)
        lines += _costs(sites[0], mine)
    lines.append(_publication(view))
    return lines


def _who(view: RunView) -> str:
    run, patients = view.run, sum(view.enrolled[site].patients for site in view.reserves)
    done = f"{len(view.rounds)} of {run.rounds} planned rounds"
    if not view.reserves:
        return f"No site set budget aside for this run ({run.system})."
    sites = _count(len(view.reserves), "site")
    return f"{sites} with {patients} declared patients took part ({run.system}; {done})."


def _costs(site: str, mine: Account) -> list[Json]:
    whole, sure = if_planned(mine), guarantee(mine)
    if math.isinf(whole.epsilon):
        return [f"There is no limit to what this run may reveal of a patient: {whole}."]
    alone = cost([mine.spent], mine.reserve.delta)
    first = f"For a patient of {site}, where it costs most, this run by itself is priced {alone}."
    if mine.before:
        first += f" With {_count(len(mine.before), 'earlier run')} on the same patients: {whole}."
    return [f"{first} Such a price holds {FIXED_PLANS}.", _sure(sure), _odds(sure)]


def _sure(sure: Guarantee) -> str:
    if math.isinf(sure.cost.epsilon):
        return f"Whatever was chosen, there is no bound: {sure.condition}."
    return f"Guaranteed is {sure.cost}; it holds {sure.condition}."


def _odds(sure: Guarantee) -> str:
    odds = membership(sure.cost)
    accuracy = odds["accuracy"]
    weak = isinstance(accuracy, float) and accuracy > _WEAK
    caveat = " A bound as large as this says little by itself." if weak else ""
    text = str(odds["text"])
    return (
        "In words: someone who sees all that ever left the site, and knows everything but whether this one "
        f"patient took part, has to guess. By what is guaranteed, {text}.{caveat}"
    )


def _publication(view: RunView) -> str:
    reasons = objections(view)
    if reasons:
        return "Nothing made from this run may be published: " + "; ".join(reasons) + "."
    if kind_of(view) == "simulation":
        done = f" {_made(view)} written as such." if view.releases else ""
        return "This is a simulation: what is made from it is a simulation too, never a release." + done
    if not view.releases:
        return "Synthetic data from this run may be published; none has been so far."
    return f"Published: {_made(view)}."


def _made(view: RunView) -> str:
    """Say what was made of a run: data sets, networks, or both."""
    cases = [str(r.cases) for r in view.releases if r.what == "data set"]
    networks = len(view.releases) - len(cases)
    sets = f"{_count(len(cases), 'data set')} ({', '.join(cases)} synthetic cases)"
    return " and ".join(words for words, some in ((sets, cases), (_count(networks, "network"), networks)) if some)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + ("" if number == 1 else "s")
