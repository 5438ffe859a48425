"""Publication: the only way from a run to a data set that may leave. It is written whole or not at all.

Order, so that a crash at any instant leaves no half data set and none without its record in the ledger:
write to a sibling folder, read everything back, record the release, rename into place. Published again after
a crash, the same scans give the same bytes and the same record.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from server.dataset_card import card, unsafe_card
from server.dataset_cases import check_cases, write_cases
from server.dataset_files import write_files
from server.dataset_seal import seal, seal_faults, sealed_by
from server.ledger_export import export_ledger
from server.report import write_report
from shared.canonical import digest
from shared.errors import PublicationRefused
from shared.identity import Identity
from shared.imaging.scan import Scan
from shared.ledger.events import Event, Release
from shared.ledger.log import SignedEvent
from shared.ledger.release_rules import objections
from shared.ledger.signed_head import SignedHead
from shared.ledger.store import LedgerStore
from shared.ledger.verify import verify_run
from shared.ledger.view import before_release, head_of, only_run, view


def publish(run_dir: Path, out: Path, scans: Iterable[Scan], *, coordinator: Identity, store: LedgerStore) -> Path:
    """Write, check, record and sign the data set `out` of the run in `run_dir`; return `out`.

    Raises:
        PublicationRefused: the run or a case may not be published, or `out` exists; says what to do.
        LedgerError: the ledger could not be read or written.
    """
    run = only_run(store.events)
    seen = view(store.events, run)
    # A ledger that contradicts itself is refused, whatever the rules make of it.
    reasons = objections(seen) or [f.detail for f in verify_run(store.events, run) if f.passed is False]
    if reasons:
        raise PublicationRefused(f"run {run[:12]} may not be published: {'; '.join(reasons)}")
    with _whole_or_nothing(out) as folder:
        cases = write_cases(folder, scans, prefix="syn", description=f"SYNTHETIC willis {run[:12]}")
        # Referring to the log as it was before any release keeps the bytes equal when publishing is repeated.
        known = before_release(store.events, run)
        head = SignedHead.by(coordinator, head_of(known))
        write_files(folder, seen, cases, head, store.lines[: len(known)])
        (folder / "README.md").write_text(card(seen, cases, head, coordinator.name), encoding="utf-8")
        sums = seal(folder, coordinator)
        check_cases(folder, cases)
        _check_seal(folder, coordinator)
        _record(store, Release(run=run, cases=len(cases), manifest=digest(sums)), coordinator)
        export_ledger(store, run_dir / "ledger", coordinator)
        write_report(run_dir)
    return out


def write_unsafe_samples(run_dir: Path, out: Path, scans: Iterable[Scan], *, store: LedgerStore) -> Path:
    """Write samples that may not be published, marked so in every name and header; return `out`.

    Raises:
        PublicationRefused: a case is damaged, or `out` exists.
    """
    seen = view(store.events, only_run(store.events))
    with _whole_or_nothing(out) as folder:
        text = f"NOT PRIVATE - NOT FOR PUBLICATION willis {seen.run.run[:12]}"
        cases = write_cases(folder, scans, prefix="unsafe", description=text)
        (folder / "README.md").write_text(unsafe_card(seen, run_dir.name), encoding="utf-8")
        check_cases(folder, cases)
    return out


def _record(store: LedgerStore, release: Release, coordinator: Identity) -> None:
    """Append the release unless this very data set was recorded before."""

    def same(known: Event) -> bool:
        key = (release.run, release.manifest)
        return isinstance(known, Release) and (known.run, known.manifest) == key

    store.append_once(SignedEvent(event=release, signer=coordinator.name), same)


def _check_seal(folder: Path, coordinator: Identity) -> None:
    faults = seal_faults(folder)
    if faults or sealed_by(folder) != coordinator.public_key:
        raise PublicationRefused(f"the files written read back differently ({faults[:3]}); check the disk")


@contextmanager
def _whole_or_nothing(out: Path) -> Iterator[Path]:
    """Yield a sibling folder that becomes `out` when the block succeeds and vanishes when it does not.

    Raises:
        PublicationRefused: `out` exists.
    """
    if out.exists():
        raise PublicationRefused(f"{out}: exists already; remove it or name another folder")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # left by a crash; nothing refers to it
    partial.mkdir(parents=True)
    try:
        yield partial
        os.rename(partial, out)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    descriptor = os.open(out.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
