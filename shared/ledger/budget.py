"""Whether a run fits under a site's cap: one rule for the site that decides and the auditor who checks. Pure.

The first plans on a cohort, reserved before one step of any of them ran, are fixed before anything of it was seen,
and are priced together by PLD. Any later plan may have been chosen because of what earlier ones released, and PLD
is no bound on such choices; the sum of all of them must then pass a Rényi filter of the order that the cap names
(Feldman & Zrnic 2021). First plans count in full there, even if they stopped early: so it is known before any data
whether they can have a successor, and if they overfill the filter they have none.
"""

from collections.abc import Sequence

from shared.ledger.events import Cap, Past
from shared.privacy.accounting import PrivacyCost, cost
from shared.privacy.events import Spending
from shared.privacy.filter import RenyiFilter

_TOLERANCE = 1e-6  # of ε, for another machine's last bits of floating point


def filter_of(cap: Cap) -> RenyiFilter:
    """Return the filter by which a cap admits runs after the first."""
    return RenyiFilter(cap.epsilon, cap.delta, cap.order)


def is_first(past: Sequence[Past]) -> bool:
    """Whether a plan with this past was fixed before any result from its cohort: nothing of it had run."""
    return all(p.unseen or not p.spending.steps for p in past if p.spending.protects_patients)


def over_cap(cap: Cap, past: Sequence[Past], plan: Spending) -> str:
    """Return why `plan` after `past` (of one cohort) does not fit under `cap`; "" if it does."""
    limit = PrivacyCost(cap.epsilon, cap.delta, plan.unit, plan.relation, "limit set by the site")
    before = patient_level(past)
    if is_first(past):
        after = cost([*before, plan], cap.delta)
        if after.epsilon <= cap.epsilon + _TOLERANCE:
            return ""
        return f"this run would cost the cohort {after}, over the site's cap of {limit}"
    rule = filter_of(cap)
    if rule.admits([*before, plan]):
        return ""
    used, more = rule.used(before) / rule.budget, rule.used([*before, plan]) / rule.budget
    return (
        f"this run would bring the cohort to {more:.0%} of the site's cap of {limit}, from {used:.0%}, counted by "
        f"a Rényi filter of order {cap.order}, as later runs may depend on earlier ones' results"
    )


def patient_level(past: Sequence[Past]) -> list[Spending]:
    """Return the earlier spendings that have a cost for patients; the others are reported apart, not composed."""
    return [p.spending for p in past if p.spending.protects_patients]
