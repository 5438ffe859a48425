"""Which runs may be published, and which data sets of them released: rules, as pure functions of the ledger."""

from typing import Literal

from shared.ledger.events import Approval
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


def not_released(seen: RunView, manifest: str) -> list[str]:
    """Return what keeps the data set or network `manifest` from being released, of gate and stewards.

    A simulation needs no approval: nobody relies on it.
    """
    needed = kind_of(seen) == "release"
    return [why for why in (by_gate(seen, manifest), by_stewards(seen, manifest) if needed else "") if why]


def by_gate(seen: RunView, manifest: str) -> str:
    """Return what the gate, as last recorded, says against a release; "" if it is open."""
    gates = [gate for gate in seen.gates if gate.manifest == manifest]
    if not gates:
        return "no gate was recorded for it; publish it again, which asks the gate"
    failed = ", ".join(check.name for check in gates[-1].failed)
    return f"its gate was shut by: {failed}" if failed else ""


def by_stewards(seen: RunView, manifest: str) -> str:
    """Return what stewards say against a release, or that one must be asked; "" if nothing, or if there are none.

    A refusal is final: decisions bear no time, so which of two came first would be the coordinator's word.
    Another draw costs no budget, and can be looked at afresh.
    """
    decisions = decisions_on(seen, manifest)
    if refused := [decision.steward for decision in decisions if decision.decision == "refused"]:
        return f"{refused[0]} refused it, for good; draw others with another --seed, which costs no budget"
    if seen.stewards and not decisions:
        return f"no steward approved it (in office: {', '.join(seen.in_office()) or 'nobody; name one'})"
    return ""


def decisions_on(seen: RunView, manifest: str) -> list[Approval]:
    """Return what stewards who were in office then decided on a data set or network, in order of the ledger."""
    entries = [(index, e) for index, e in seen.entries if isinstance(e, Approval) and e.manifest == manifest]
    return [decision for index, decision in entries if decision.steward in seen.in_office(index)]


def kind_of(view: RunView) -> Literal["release", "simulation"]:
    """Return what a data set of the run may call itself: seeded noise protects no real patient."""
    return "simulation" if view.is_seeded else "release"
