"""Publication: the only way from a run to a data set that may leave. It is written whole or not at all.

Order, so that a crash at any instant leaves no half data set and none without its record in the ledger:
write to a sibling folder, read everything back, record the release, rename into place. Published again after
a crash, the same scans give the same bytes and the same record.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from server.dataset.card import card, unsafe_card
from server.dataset.cases import check_cases, write_cases
from server.dataset.files import write_files
from server.dataset.gate import reasons_not_to_publish
from server.dataset.origin import USUAL, Origin
from server.dataset.seal import seal, seal_faults, sealed_by
from server.dataset.viewer.page import write_viewer
from server.ledger.export import export_ledger
from server.ledger.recorder import Recorder
from server.report.build import write_report
from server.run.folder import RunFolder
from shared.canonical import digest
from shared.errors import PublicationRefused
from shared.files import new_folder
from shared.identity import Identity
from shared.imaging.scan import Scan
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.events import Event, Release
from shared.ledger.release_rules import kind_of
from shared.ledger.store import LedgerStore
from shared.ledger.verify_coverage import uncovered
from shared.ledger.view import first_release, head_of, view, views


def publish(
    folder: RunFolder, out: Path, scans: Iterable[Scan], *, store: LedgerStore, origin: Origin = USUAL
) -> Path:
    """Write, check, record and sign the data set `out` of a run; return `out`.

    `origin` says how the cases were made, where this run did not make them alone.

    Raises:
        PublicationRefused: the run or a case may not be published, or `out` exists; says what to do.
        LedgerError: the ledger could not be read or written.
    """
    run, coordinator = folder.plan().run, folder.home.identity
    seen = view(store.events, run)
    if reasons := reasons_not_to_publish(seen) or uncovered(origin.earlier, seen, views(store.events)):
        raise PublicationRefused(f"run {run[:12]} may not be published: {'; '.join(reasons)}")
    kind = kind_of(seen)
    with whole_or_nothing(out) as partial:
        mark = "SYNTHETIC" if kind == "release" else "SIMULATION, NOT A RELEASE"
        cases = write_cases(partial, scans, prefix="syn", description=f"{mark} willis {run[:12]}")
        # Referring to the log as it was before any release keeps the bytes equal when publishing is repeated.
        lines = store.lines[: first_release(seen, len(store.lines))]
        checkpoint = Checkpoint.by(coordinator, head_of(lines))
        write_files(partial, seen, cases, checkpoint, lines)
        text = card(seen, cases, checkpoint, coordinator, origin)
        (partial / "README.md").write_text(text, encoding="utf-8")
        write_viewer(partial)
        sums = seal(partial, coordinator)
        check_cases(partial, cases)
        _check_seal(partial, coordinator)
        made = Release(run=run, kind=kind, cases=len(cases), manifest=digest(sums), earlier=origin.earlier)
        _record(store, made, coordinator)
        export_ledger(store, folder.ledger, coordinator)
        write_report(folder.path)
    return out


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


def _record(store: LedgerStore, release: Release, coordinator: Identity) -> None:
    """Append the release unless this very data set was recorded before."""

    def same(known: Event) -> bool:
        key = (release.run, release.manifest)
        return isinstance(known, Release) and (known.run, known.manifest) == key

    Recorder(store, coordinator)(release, same)


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
    if out.exists():
        raise PublicationRefused(f"{out}: exists already; remove it or name another folder")
    with new_folder(out) as partial:
        yield partial
