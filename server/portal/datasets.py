"""The data sets at hand: released, simulated, or waiting for a steward, and what can be found of them.

A data set is named by the SHA-256 of its SHA256SUMS, as in the ledger.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from server.audit.dataset_checks import check_release
from server.dataset.checking.verify import examine_dataset
from server.dataset.files.seal import SUMS, sealed_by
from server.dataset.releasing.candidate import DIGITS, NETWORK
from server.dataset.releasing.candidate import FOLDER as CANDIDATES
from server.portal.books import Books, Held, Reading
from shared.canonical import digest
from shared.ledger.events import Release
from shared.ledger.finding import Finding


class State(StrEnum):
    """What the ledger says of a data set."""

    RELEASED = "released"
    SIMULATION = "simulation, not a release"
    CANDIDATE = "candidate, not released"
    UNKNOWN = "not in the ledger"


@dataclass(frozen=True)
class DataSet:
    """One sealed folder; or a network that waits for release, whose one file is never given away."""

    manifest: str
    folder: Path
    books: Books
    held: Held
    release: Release | None
    is_candidate: bool

    @property
    def id(self) -> str:
        """What addresses name it by."""
        return self.manifest[:DIGITS]

    @property
    def is_network(self) -> bool:
        """Whether `folder` is a network's file, and there is nothing to list or to look at."""
        return self.folder.suffix == NETWORK

    @property
    def state(self) -> State:
        """See `State`."""
        if self.release is not None:
            return State.RELEASED if self.release.kind == "release" else State.SIMULATION
        return State.CANDIDATE if self.is_candidate else State.UNKNOWN


def find(reading: Reading, more: Sequence[Path]) -> list[DataSet]:
    """Return every data set in the run folders, and those in the folders `more`, released ones first."""
    found: dict[str, DataSet] = {}
    for folder, books, held in [*_named(reading, more), *_inside(reading)]:
        if (made := _data_set(folder, books, held)) is not None:
            found.setdefault(made.manifest, made)
    for data in _networks(reading):
        found.setdefault(data.manifest, data)
    return sorted(found.values(), key=lambda one: one.release is None)


def strangers(sets: Sequence[DataSet], more: Sequence[Path]) -> list[str]:
    """Return the names of the folders `more` that are no data set of a ledger at hand, and so cannot be shown."""
    known = {data.folder for data in sets}
    return [folder.resolve().name for folder in more if folder not in known]


def quick_findings(data: DataSet) -> list[Finding]:
    """Return what can be said without reading every file: who signed, and whether the ledger knows it."""
    key = data.books.ledger.terms.public_key
    if data.is_network:
        return []
    try:
        signed = sealed_by(data.folder) == key
    except OSError:
        signed = False
    found = [
        Finding(
            "SHA256SUMS is signed by the coordinator", signed, f"by key {key[:16]}…" if signed else "it is not"
        )
    ]
    if not data.is_candidate:
        known = "" if data.release else "; do not use or pass it on"
        words = f"{data.manifest[:DIGITS]} is {data.state.value}{known}"
        found.append(Finding("the ledger knows this data set", data.release is not None, words))
    return found


def findings(data: DataSet) -> list[Finding]:
    """Read every file: what `willis dataset verify` finds, and what the ledger at hand says of the release."""
    ledger = data.books.ledger
    key = ledger.terms.public_key
    found = list(examine_dataset(data.folder, key))
    if data.release is not None:
        found.append(check_release(data.folder, ledger.events, data.release.run, key))
    return found


def _inside(reading: Reading) -> Iterator[tuple[Path, Books, Held]]:
    """Yield the sealed folders inside run folders, with whose they are."""
    for books in reading.books:
        for held in books.held:
            for pattern in (f"[!.]*/{SUMS}", f"{CANDIDATES}/[!.]*/{SUMS}"):
                for path in sorted(held.folder.path.glob(pattern)):
                    yield path.parent, books, held


def _networks(reading: Reading) -> Iterator[DataSet]:
    """Yield the networks that the gate has seen and that lie among a run's candidates."""
    for books in reading.books:
        for held in books.held:
            view = books.ledger.runs.get(held.run)
            for manifest in dict.fromkeys(gate.manifest for gate in view.gates) if view else ():
                path = held.folder.path / CANDIDATES / f"{manifest[:DIGITS]}{NETWORK}"
                if path.is_file():
                    yield DataSet(manifest, path, books, held, _release(books, manifest), is_candidate=True)


def _named(reading: Reading, more: Sequence[Path]) -> Iterator[tuple[Path, Books, Held]]:
    """Yield the folders that an operator named, each with the run whose release it is."""
    for folder in more:
        if (folder / SUMS).is_file():
            manifest = digest((folder / SUMS).read_bytes())
            for books in reading.books:
                release = _release(books, manifest)
                held = books.holder(release.run) if release else None
                if held is not None:
                    yield folder, books, held


def _data_set(folder: Path, books: Books, held: Held) -> DataSet | None:
    try:
        manifest = digest((folder / SUMS).read_bytes())
    except OSError:
        return None
    return DataSet(manifest, folder, books, held, _release(books, manifest), folder.parent.name == CANDIDATES)


def _release(books: Books, manifest: str) -> Release | None:
    made = (release for view in books.ledger.runs.values() for release in view.releases)
    return next((release for release in made if release.manifest == manifest), None)
