"""What each kind of ledger entry says, as one plain sentence."""

from functools import singledispatch

from server.report.claims import cap_claim
from server.report.sites import spending_json
from shared.ledger.events import (
    Approval,
    Enrol,
    Federation,
    Gate,
    Incident,
    Refuse,
    Release,
    Reserve,
    Round,
    Run,
    Settle,
    Steward,
)

_SHORT = 12  # digits of a digest


@singledispatch
def sentence(event: object) -> str:
    """Return what an event says.

    Raises:
        NotImplementedError: there is no sentence for this kind; a new kind needs its own here.
    """
    raise NotImplementedError(f"no sentence says what a {type(event).__name__} is")


@sentence.register
def _(event: Federation) -> str:
    return f"Founded: δ = {event.delta:g} for all runs, a patient at no more than {event.overlap} of the sites"


@sentence.register
def _(event: Enrol) -> str:
    return f"{event.site} joined, declaring {event.patients} patients"


@sentence.register
def _(event: Run) -> str:
    what = "Asked" if event.is_query else "Planned"
    return f"{what}: {event.system}; {event.rounds} rounds of {event.steps_per_round} private steps"


@sentence.register
def _(event: Reserve) -> str:
    cap = cap_claim(event.cap)["text"]
    return f"{event.site} set aside {spending_json(event.spending)['text']}, under its cap of {cap}"


@sentence.register
def _(event: Refuse) -> str:
    when = f"round {event.round}" if event.round else "before training"
    whose = f"{event.site} refused" if event.by == "site" else f"An update of {event.site} was refused"
    return f"{whose}, {when}: {event.reason}"


@sentence.register
def _(event: Round) -> str:
    return f"Round {event.round}: {', '.join(event.sites)} averaged to model {event.model[:_SHORT]}"


@sentence.register
def _(event: Settle) -> str:
    return f"{event.site} settled after {event.rounds} rounds: {spending_json(event.spending)['text']}"


@sentence.register
def _(event: Release) -> str:
    what = f"{event.cases} synthetic cases" if event.what == "data set" else "a trained network"
    kind = "Released" if event.kind == "release" else "A simulation, not a release"
    return f"{kind}: {what}, {event.manifest[:_SHORT]}"


@sentence.register
def _(event: Steward) -> str:
    return f"{event.name} was {event.state} as a data steward"


@sentence.register
def _(event: Gate) -> str:
    failed = ", ".join(check.name for check in event.failed)
    result = f"failed at {failed}" if failed else f"passed all {len(event.checks)} checks"
    return f"Candidate {event.manifest[:_SHORT]} {result}"


@sentence.register
def _(event: Approval) -> str:
    said = f": {event.words}" if event.words else ""
    return f"{event.steward} {event.decision} candidate {event.manifest[:_SHORT]}{said}"


@sentence.register
def _(event: Incident) -> str:
    return f"Incident: {event.text}"
