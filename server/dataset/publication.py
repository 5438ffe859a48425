"""Publication: the only way from a run to a data set that may leave. It is written whole or not at all.

Order, so that a crash at any instant leaves no half data set and none without its record in the ledger: write
aside, ask the gate, which reads everything back, record what it found, keep as a candidate; then as
`server.dataset.releasing.release`. Published again after a crash, the same scans give the same bytes and the same
records.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from server.dataset.files.cases import check_cases, write_cases
from server.dataset.files.contents import Contents
from server.dataset.files.mark import mark_of
from server.dataset.files.origin import USUAL, Origin
from server.dataset.files.seal import seal, seal_faults, sealed_by
from server.dataset.files.unsafe_card import unsafe_card
from server.dataset.files.writing import write_files
from server.dataset.gate.distance import Demands
from server.dataset.gate.reading import check_files
from server.dataset.gate.rules import check_run
from server.dataset.releasing.candidate import Candidate, GateShut, drawing_place, place, write_statement
from server.dataset.releasing.release import (
    Outcome,
    distance_so_far,
    publish_records,
    record_gate,
    refuse_existing,
    settle,
)
from server.run.folder import RunFolder
from shared.canonical import digest
from shared.errors import PublicationRefused
from shared.files import new_folder
from shared.identity import Identity
from shared.imaging.scan import Scan
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.events import Gate
from shared.ledger.store import LedgerStore
from shared.ledger.view import first_release, head_of, lines_of, view, views


def publish(
    folder: RunFolder, out: Path, scans: Iterable[Scan], *, store: LedgerStore, origin: Origin = USUAL
) -> Outcome:
    """Write and sign a data set of a run, ask the gate, record its answer, and release it as `out` if it may be.

    `origin` says how the cases were made, where this run did not make them alone. From the first named steward
    on, a release waits as a candidate for approval.

    Raises:
        PublicationRefused: the run or a case may not be published, or `out` exists; says what to do.
        GateShut: the gate found the cases broken; says of each check what to do, and where they are kept.
        LedgerError: the ledger could not be read or written.
    """
    refuse_existing(out)
    run, coordinator = folder.plan().run, folder.home.identity
    seen = view(store.events, run)
    of_run = check_run(seen, views(store.events), origin.earlier)
    if reasons := [check.words for check in of_run if not check.passed]:
        raise PublicationRefused(f"run {run[:12]} may not be published: {'; '.join(reasons)}")
    # Referring to the log as it was before any release keeps the bytes equal when publishing is repeated.
    before = store.events[: first_release(seen, len(store.events))]
    checkpoint = Checkpoint.by(coordinator, head_of(lines_of(before)))
    mark = mark_of(seen, checkpoint.head)
    with drawing_place(folder, out) as partial:
        cases = write_cases(partial, scans, prefix="syn", description=mark.description, comment=mark.comment)
        write_files(partial, Contents(before, run, cases, checkpoint), coordinator, origin)
        write_statement(partial, run, len(cases), origin.earlier)
        sums = seal(partial, coordinator)
        manifest = digest(sums)
        of_cases = check_files(partial, cases)
        _check_seal(partial, coordinator)
        distance = distance_so_far(seen, manifest, Demands.at(folder.home.path))
        gate = Gate(run=run, manifest=manifest, checks=(*of_run, *of_cases, distance))
        record_gate(store, coordinator, gate)
        try:
            candidate = place(folder, partial, gate)
        except GateShut:
            publish_records(folder, store)
            raise
    return settle(folder, Candidate.at(candidate), out, store=store)


def write_unsafe_samples(folder: RunFolder, out: Path, scans: Iterable[Scan], *, store: LedgerStore) -> Path:
    """Write samples that may not be published, marked so in every name and header; return `out`.

    Raises:
        PublicationRefused: a case is damaged, or `out` exists.
    """
    seen = view(store.events, folder.plan().run)
    with whole_or_nothing(out) as partial:
        text = f"NOT PRIVATE - NOT FOR PUBLICATION willis {seen.run.run[:12]}"
        cases = write_cases(partial, scans, prefix="unsafe", description=text)
        (partial / "README.md").write_text(unsafe_card(seen, folder.path.name), encoding="utf-8")
        check_cases(partial, cases)
    return out


def _check_seal(folder: Path, coordinator: Identity) -> None:
    faults = seal_faults(folder)
    if faults or sealed_by(folder) != coordinator.public_key:
        raise PublicationRefused(f"the files written read back differently ({faults[:3]}); check the disk")


@contextmanager
def whole_or_nothing(out: Path) -> Iterator[Path]:
    """Yield a sibling folder that becomes `out` when the block succeeds and vanishes when it does not.

    Raises:
        PublicationRefused: `out` exists.
    """
    refuse_existing(out)
    with new_folder(out) as partial:
        yield partial
