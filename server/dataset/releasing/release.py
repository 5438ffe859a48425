"""From candidate to release: the gate is recorded, a steward's decision taken in, and only then is anything moved.

Order, so that a crash at any instant leaves nothing released without its record: gate, approval, release, proof,
export and report, and last one rename into place. Done again after a crash, each step finds what it left.
"""

from dataclasses import dataclass
from pathlib import Path

from server.dataset.gate.distance import DISTANCE, Demands, check_distance
from server.dataset.releasing.approval import accept_approval
from server.dataset.releasing.candidate import Candidate, tidy
from server.dataset.releasing.proof import write_proof
from server.ledger.export import export_ledger
from server.ledger.recorder import Recorder
from server.query.groups import not_trained_on
from server.report.build import write_report
from server.run.folder import RunFolder
from shared.errors import PublicationRefused
from shared.evaluation.distance_answer import QUERY, DistanceAnswer
from shared.files import move_durably
from shared.identity import Identity
from shared.ledger.events import Check, Event, Gate, Release
from shared.ledger.release_rules import decisions_on, not_released
from shared.ledger.store import LedgerStore
from shared.ledger.verify import reasons_against
from shared.ledger.view import RunView, view, views


@dataclass(frozen=True)
class Outcome:
    """What became of a data set or a network that was to be published."""

    path: Path  # where it lies now
    manifest: str
    checks: tuple[Check, ...]  # what the gate found
    missing: tuple[str, ...] = ()  # what keeps it from being released; nothing: it was


def record_gate(store: LedgerStore, coordinator: Identity, gate: Gate) -> None:
    """Append what the gate found, unless that is its last word on this manifest already.

    Raises:
        LedgerError: it cannot be written.
    """
    known = [found for found in view(store.events, gate.run).gates if found.manifest == gate.manifest]
    if known[-1:] != [gate]:
        Recorder(store, coordinator)(gate, lambda _: False)


def distance_so_far(seen: RunView, manifest: str, demands: Demands) -> Check:
    """Return what the ledger has been told of the distance of these cases, or that nobody asked."""
    unasked = [check_distance(None, Demands(distance=demanded)) for demanded in (False, True)]
    checks = [check for gate in seen.gates if gate.manifest == manifest for check in gate.checks]
    answers = [check for check in checks if check.name == DISTANCE and check not in unasked]
    return answers[-1] if answers else check_distance(None, demands)


def settle(folder: RunFolder, candidate: Candidate, out: Path, *, store: LedgerStore) -> Outcome:
    """Release a candidate if nothing more is needed; else say what is, and leave it where it is.

    Raises:
        PublicationRefused: a steward refused it, or as `release`.
        LedgerError: the ledger cannot be written.
    """
    seen = view(store.events, candidate.run)
    missing = not_released(seen, candidate.manifest)
    if not missing or any(decision.decision == "refused" for decision in decisions_on(seen, candidate.manifest)):
        return release(folder, candidate, out, store=store)
    publish_records(folder, store)
    return Outcome(candidate.path, candidate.manifest, _last_gate(seen, candidate.manifest).checks, tuple(missing))


def release(
    folder: RunFolder,
    candidate: Candidate,
    out: Path,
    *,
    store: LedgerStore,
    approval: bytes | None = None,
    distance: DistanceAnswer | None = None,
) -> Outcome:
    """Record the release of a candidate and move it to `out`, which must not exist.

    `approval` is a steward's file, taken in first; `distance` the answer to a query about these cases, which the
    gate records in place of its last word on it.

    Raises:
        PublicationRefused: gate, stewards or ledger do not let it leave; says what is missing.
        UsageError: `approval` is no such file.
        LedgerError: the ledger cannot be written.
    """
    coordinator, run = folder.home.identity, folder.plan().run
    refuse_existing(out)
    if candidate.run != run:
        raise PublicationRefused(
            f"{candidate.path}: of run {candidate.run[:12]}, not {run[:12]}; name its own run"
        )
    candidate.check_seal(coordinator.public_key)
    if approval is not None:
        _take(store, approval, candidate)
    if distance is not None:
        _answer(store, coordinator, candidate, distance, Demands.at(folder.home.path))
    seen = view(store.events, run)
    if why := reasons_against(seen) or not_released(seen, candidate.manifest):
        raise PublicationRefused(f"{candidate.path} may not be released: {'; '.join(why)}")
    _record(store, candidate.release(seen), coordinator)
    if candidate.cases:
        write_proof(candidate.path, store.events, coordinator)
    publish_records(folder, store)
    move_durably(candidate.path, out)
    tidy(folder)
    return Outcome(out, candidate.manifest, _last_gate(seen, candidate.manifest).checks)


def publish_records(folder: RunFolder, store: LedgerStore) -> None:
    """Write the run's copy of the ledger, and its report, anew."""
    export_ledger(store, folder.ledger, folder.home.identity)
    write_report(folder.path)


def refuse_existing(out: Path) -> None:
    """Check that nothing, not even a link that leads nowhere, is where a data set is to go.

    Raises:
        PublicationRefused: something is.
    """
    if out.exists() or out.is_symlink():
        raise PublicationRefused(f"{out}: exists already; remove it or name another place")


def _take(store: LedgerStore, approval: bytes, candidate: Candidate) -> None:
    decision = accept_approval(store, approval)
    if decision.manifest != candidate.manifest:
        raise PublicationRefused(
            f"{decision.steward} decided on {decision.manifest[:12]}, and this candidate is "
            f"{candidate.manifest[:12]}; send the steward this one"
        )


def _answer(
    store: LedgerStore, coordinator: Identity, candidate: Candidate, distance: DistanceAnswer, demands: Demands
) -> None:
    """Record what the gate found before, with the answer in place of what it said of the distance."""
    if distance.manifest != candidate.manifest:
        asked = distance.manifest[:12] or "a data set without seal"
        raise PublicationRefused(
            f"the hospitals were asked about {asked}, and this candidate is {candidate.manifest[:12]}; ask again"
        )
    runs = views(store.events)
    query = runs.get(distance.trained.run)
    if query is None or not query.rounds or query.run.recipe != QUERY:
        raise PublicationRefused(
            f"query {distance.trained.run[:12]} is not in this federation's ledger; ask its own hospitals"
        )
    if why := not_trained_on(query, [runs[run] for run in (candidate.run, *candidate.earlier)]):
        raise PublicationRefused(f"query {distance.trained.run[:12]}: {why}")
    found = distance.judged_again(simulated=query.is_seeded)
    gate = _last_gate(runs[candidate.run], candidate.manifest)
    checks = [check for check in gate.checks if check.name != DISTANCE]
    made = gate.model_copy(update={"checks": (*checks, check_distance(found, demands))})
    record_gate(store, coordinator, made)


def _last_gate(seen: RunView, manifest: str) -> Gate:
    gates = [gate for gate in seen.gates if gate.manifest == manifest]
    if not gates:
        raise PublicationRefused(
            f"{manifest[:12]}: no gate was recorded for it; publish again, which asks the gate"
        )
    return gates[-1]


def _record(store: LedgerStore, made: Release, coordinator: Identity) -> None:
    """Append the release unless this very data set was recorded before."""

    def same(known: Event) -> bool:
        return isinstance(known, Release) and (known.run, known.manifest) == (made.run, made.manifest)

    Recorder(store, coordinator)(made, same)
