"""The privacy claim that travels with a data set, for machines."""

from server.report.accounts import grouped, guarantee, if_planned
from server.report.claims import claim
from server.report.federation import joint_cost, joint_guarantee
from server.report.words import FIXED_PLANS, NOISE, STATEMENT
from shared.canonical import Json
from shared.ledger.log import Head
from shared.ledger.view import RunView


def privacy_claims(view: RunView, head: Head) -> dict[str, Json]:
    """Return what the data set claims for the patients of each site, with all earlier runs.

    `sites` and `maximum` hold whatever was chosen because of results, on the `condition`; `if_planned` is PLD and
    holds only if nothing was. Maxima are for a patient at as many of the sites as the federation allows.
    """
    groups, overlap = grouped(view), view.federation.overlap
    sure, condition = joint_guarantee(groups, overlap)
    return {
        "sites": {site: claim(guarantee(mine).cost) for sites, mine in groups for site in sites},
        "maximum": claim(sure),
        "condition": condition,
        "overlap": overlap,
        "if_planned": {
            "sites": {site: claim(if_planned(mine)) for sites, mine in groups for site in sites},
            "maximum": claim(joint_cost(groups, overlap)),
            "condition": FIXED_PLANS,
        },
        "statement": STATEMENT,
        "noise_source": view.noise_source.value,
        "noise_in_words": NOISE[view.noise_source],
        "ledger": {"size": head.size, "root": head.root},
    }


def claim_in_words(view: RunView, head: Head) -> str:
    """Return what a trained network claims for a patient at as many of the sites as may be, in a sentence."""
    claims = privacy_claims(view, head)
    assert isinstance(claims["maximum"], dict)
    simulated = "SIMULATION: the noise is seeded and protects nobody; " if view.is_seeded else ""
    return f"{simulated}{claims['maximum']['text']}, for a patient, on the condition: {claims['condition']}"
