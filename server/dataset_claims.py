"""The privacy claim that travels with a data set, for machines."""

from server.claims import claim
from server.report_sites import split_past
from server.report_words import NOISE, STATEMENT
from shared.canonical import Json
from shared.ledger.log import Head
from shared.ledger.view import RunView
from shared.privacy.accounting import cost


def privacy_claims(view: RunView, head: Head) -> dict[str, Json]:
    """Return what the data set claims: the cost for the patients of each site, with all earlier runs."""
    costs = {}
    for site, reserve in view.reserves.items():
        before = [p.spending for p in split_past(reserve, view.spent(site))[0]]
        costs[site] = cost([*before, view.spent(site)], reserve.delta)
    worst = max(costs.values(), key=lambda spent: spent.epsilon)
    return {
        "sites": {site: claim(spent) for site, spent in costs.items()},
        "maximum": claim(worst),
        "statement": STATEMENT,
        "noise_source": view.noise_source.value,
        "noise_in_words": NOISE[view.noise_source],
        "ledger": {"size": head.size, "root": head.root},
    }
