"""Whether anything made from a run may leave: the ledger's rules, entries that agree, accountants that agree."""

from collections.abc import Mapping, Sequence

from server.report.build import disagreements_or_none
from shared.ledger.events import Check
from shared.ledger.verify import reasons_against
from shared.ledger.verify_coverage import uncovered
from shared.ledger.verify_spending import composed
from shared.ledger.view import RunView

RUN, ACCOUNTANTS = "the run may be published", "accountants agree"


def check_run(seen: RunView, runs: Mapping[str, RunView], earlier: Sequence[str]) -> tuple[Check, ...]:
    """Return the checks of a run that released something, and of `earlier` runs (of `runs`) that drew too."""
    against = reasons_against(seen) or uncovered(earlier, seen, runs)
    if against:
        return (Check(name=RUN, passed=False, words="; ".join(against)),)
    contradictions = _contradictions(seen)
    sites = len(seen.reserves)
    fine = (
        f"settled by {sites} sites, unit patient, noised, within every cap; the ledger contradicts itself nowhere"
    )
    agree = f"on {sites} costs, RDP and, where they exist, PRV or the exact Gaussian beside PLD"
    return (
        Check(name=RUN, passed=True, words=fine),
        Check(name=ACCOUNTANTS, passed=not contradictions, words="; ".join(contradictions) or agree),
    )


def _contradictions(seen: RunView) -> list[str]:
    """Return where accountants contradict each other on what this run and earlier ones cost."""
    disagree = disagreements_or_none()
    if disagree is None:
        return ["Opacus, whose accountants check the cost, is not installed; install it and publish again"]
    return [why for site in seen.reserves for why in disagree(composed(seen, site), seen.run.delta)]
