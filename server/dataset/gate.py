"""Whether anything made from a run may be published: the ledger's rules, and accountants that agree."""

from server.report.build import disagreements_or_none
from shared.ledger.verify import reasons_against
from shared.ledger.verify_spending import composed
from shared.ledger.view import RunView


def reasons_not_to_publish(seen: RunView) -> list[str]:
    """Return why a run may not be published: the rules, a ledger that contradicts itself, accountants that do."""
    if found := reasons_against(seen):
        return found
    disagree = disagreements_or_none()
    if disagree is None:
        return ["Opacus, whose accountants check the cost, is not installed; install it and publish again"]
    return [why for site in seen.reserves for why in disagree(composed(seen, site), seen.run.delta)]
