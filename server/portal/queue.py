"""What waits for a data steward: candidates that were drawn and gated and are not released."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from shlex import quote

from server.dataset.releasing.candidate import FOLDER
from server.portal.datasets import DataSet
from shared.ledger.events import Approval, Gate
from shared.ledger.release_rules import by_gate, decisions_on, kind_of, not_released
from shared.ledger.view import RunView


class Stand(StrEnum):
    """Where a candidate stands."""

    WAITING = "waits for a data steward"
    READY = "may be released"
    REFUSED = "refused by a data steward, for good"
    SHUT = "shut out by the gate"
    RELEASED = "released"


@dataclass(frozen=True)
class Candidate:
    """A candidate, what the gate found, and what stewards decided."""

    data: DataSet
    stand: Stand
    gate: Gate | None
    decisions: tuple[Approval, ...]
    stewards: tuple[str, ...]  # in office, who may decide
    reasons: tuple[str, ...]  # what keeps it from being released


def candidate(data: DataSet) -> Candidate:
    """Return where a data set stands; of a run that the ledger does not know, nothing is decided."""
    view = data.books.ledger.runs.get(data.held.run)
    if view is None:
        return Candidate(data, Stand.SHUT, None, (), (), ("the ledger does not know its run",))
    decisions = decisions_on(view, data.manifest)
    reasons = not_released(view, data.manifest)
    stand = _stand(data, view, decisions, reasons)
    return Candidate(data, stand, gate_of(data), tuple(decisions), tuple(sorted(view.in_office())), tuple(reasons))


def gate_of(data: DataSet) -> Gate | None:
    """Return what the release gate last found of a data set; None where it was not asked."""
    view = data.books.ledger.runs.get(data.release.run if data.release else data.held.run)
    gates = [gate for gate in view.gates if gate.manifest == data.manifest] if view else []
    return gates[-1] if gates else None


def candidates(sets: Sequence[DataSet]) -> list[Candidate]:
    """Return the candidates among data sets, those that wait first."""
    found = [candidate(data) for data in sets if data.is_candidate]
    return sorted(found, key=lambda one: list(Stand).index(one.stand))


def commands(one: Candidate) -> list[str]:
    """Return what a person runs next, each line a command; the steward's on the steward's own machine."""
    data = one.data
    place = data.folder.name
    if one.stand is Stand.READY:
        run = quote(data.held.name)
        return [f"willis dataset release {run} {run}/{FOLDER}/{place} PUBLISHED"]
    key = data.books.ledger.terms.public_key
    base = [
        f"willis dataset approve {place} --key KEYS --as {quote(name)} --coordinator {key}"
        for name in one.stewards
    ]
    return [
        f"{command} {choice}" for command in base for choice in ('--words "WHAT YOU LOOKED AT"', '--refuse "WHY"')
    ]


def _stand(data: DataSet, view: RunView, decisions: Sequence[Approval], reasons: Sequence[str]) -> Stand:
    if data.release is not None:
        return Stand.RELEASED
    if by_gate(view, data.manifest):
        return Stand.SHUT
    if kind_of(view) == "release" and any(one.decision == "refused" for one in decisions):
        return Stand.REFUSED
    return Stand.WAITING if reasons else Stand.READY
