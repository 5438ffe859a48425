"""What each kind of ledger entry says, as one plain sentence."""

from collections.abc import Callable
from typing import Any

from server.report.sites import spending_json
from shared.ledger.events import Event


def sentence(event: Event) -> str:
    """Return what an event says; of a kind that has no sentence yet, its type."""
    say = _SENTENCES.get(event.type)
    return say(event) if say else event.type


def _run(event: Any) -> str:
    what = "Asked" if event.is_query else "Planned"
    return f"{what}: {event.system}; {event.rounds} rounds of {event.steps_per_round} private steps"


def _reserve(event: Any) -> str:
    cap = f"cap ε = {event.cap.epsilon:g} (δ = {event.cap.delta:g}; unit: patient; add/remove; limit set by the site)"
    return f"{event.site} set aside {spending_json(event.spending)['text']}; {cap}"


def _refuse(event: Any) -> str:
    when = f"round {event.round}" if event.round else "before training"
    if event.by == "site":
        return f"{event.site} refused, {when}: {event.reason}"
    return f"An update of {event.site} was refused, {when}: {event.reason}"


def _release(event: Any) -> str:
    what = f"{event.cases} synthetic cases" if event.what == "data set" else "a trained network"
    if event.kind == "simulation":
        return f"A simulation, not a release: {what}, {event.manifest[:12]}"
    return f"Released: {what}, {event.manifest[:12]}"


def _gate(event: Any) -> str:
    failed = [check.name for check in event.checks if not check.passed]
    result = f"failed {', '.join(failed)}" if failed else f"passed all {len(event.checks)} checks"
    return f"Candidate {event.manifest[:12]} {result}"


def _approval(event: Any) -> str:
    said = f": {event.words}" if event.words else ""
    return f"{event.steward} {event.decision} candidate {event.manifest[:12]}{said}"


_SENTENCES: dict[str, Callable[[Any], str]] = {
    "federation": lambda e: f"Founded, with δ = {e.delta:g} for all runs; a patient is at most at {e.overlap} of the sites",
    "enrol": lambda e: f"{e.site} joined, declaring {e.patients} patients",
    "run": _run,
    "reserve": _reserve,
    "refuse": _refuse,
    "round": lambda e: f"Round {e.round}: {', '.join(e.sites)} averaged to model {e.model[:12]}",
    "settle": lambda e: f"{e.site} settled after {e.rounds} rounds: {spending_json(e.spending)['text']}",
    "release": _release,
    "incident": lambda e: f"Incident: {e.text}",
    "steward": lambda e: f"Data steward {e.name} was {e.state}",
    "gate": _gate,
    "approval": _approval,
}
