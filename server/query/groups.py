"""Who belongs to which group of a comparison is what sites signed. Pure.

Patients trained on are those whose list, by its salted commitment, was reserved for the runs that drew the data
set, and on whom these runs are charged; the others are those on whom nothing but queries was ever charged.
"""

from collections.abc import Mapping, Sequence

from shared.ledger.events import QUERY_PREFIX
from shared.ledger.view import RunView


def not_trained_on(asked: RunView, runs: Sequence[RunView]) -> str:
    """Return why the patients asked are not those that the runs were trained on, or ""."""
    for run in runs:
        differing = different(run, {site: reserve.cohort for site, reserve in asked.reserves.items()})
        if differing:
            return differing
        for site, reserve in asked.reserves.items():
            if run.run.run not in {past.run for past in reserve.past}:
                return (
                    f"{site} does not charge run {run.run.run} on the patients it asked; ask those it trained on"
                )
    return ""


def different(run: RunView, cohorts: Mapping[str, str]) -> str:
    """Return how sites and their patients (by commitment) differ from those a run was trained on, or ""."""
    if cohorts.keys() != run.reserves.keys():
        began = ", ".join(sorted(run.reserves))
        return f"run {run.run.run} was trained at {began}; ask exactly these, not {', '.join(sorted(cohorts))}"
    for site, reserve in sorted(run.reserves.items()):
        if cohorts[site] != reserve.cohort:
            return f"the patients of {site} are not those that run {run.run.run} was trained on; restore them"
    return ""


def trained_on(asked: RunView) -> str:
    """Return why somebody may have trained on the patients asked, or ""."""
    for site, reserve in sorted(asked.reserves.items()):
        for past in reserve.past:
            if not past.recipe.startswith(QUERY_PREFIX):
                return f"{site} charges run {past.run} ({past.recipe}) on these patients; hold out others"
    return ""
