"""Which runs may be published: the rules, as a pure function of what the ledger says."""

from typing import Literal

from shared.ledger.view import RunView, Status


def objections(view: RunView) -> list[str]:
    """Return why the run may not be published, each with its remedy; empty: it may."""
    found = []
    if view.run.is_query:
        found.append("it is a query, whose answer is all it releases; nothing was generated")
    elif view.run.begins_with_weights:
        found.append("it began with another run's weights, whose patients its claim may not cover; train afresh")
    if not view.is_patient_level:
        found.append("its unit of privacy is the patch, not the patient; train again at patient level")
    if not view.is_private:
        found.append("it was trained without noise (ε = ∞); train again with a finite ε")
    if view.status is Status.REFUSED:
        found.append("a site refused it; agree on a plan that every site's policy allows, and train again")
    elif view.status is Status.UNSETTLED:
        missing = ", ".join(sorted(view.reserves.keys() - view.settles.keys())) or "every site"
        found.append(f"not settled yet: {missing}; resume the run so that every site signs what it executed")
    elif not view.rounds:
        found.append("no round ended, so there is no trained model; resume the run")
    return found


def kind_of(view: RunView) -> Literal["release", "simulation"]:
    """Return what a data set of the run may call itself: seeded noise protects no real patient."""
    return "simulation" if view.is_seeded else "release"
