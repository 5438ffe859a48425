"""The data sets at hand: released, simulated, or waiting for a steward; and which of their files may be fetched.

A data set is named by the SHA-256 of its SHA256SUMS, as in the ledger. Only files that SHA256SUMS lists, and
the seal itself, are ever served.
"""

import json
import mimetypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from server.audit.checks import check_release, check_seal
from server.dataset.seal import SIGNATURE, SUMS, listed_sums, sealed_by
from server.portal.books import Books, Held, Reading
from shared.canonical import digest
from shared.ledger.events import Release
from shared.ledger.finding import Finding

CANDIDATES = "candidates"
VIEWER, SHEET, CARD, PROOF = "index.html", "contact-sheet.png", "README.md", "release.tlog-proof"
UNSHOWN = "application/octet-stream"  # of what a browser saves and does not open
DESCRIPTION = "dataset_description.json"
SHORT = 12  # digits of the manifest in addresses and folders
_MOST_TEXT = 1_000_000  # bytes of a card or description that are read
_SEAL = (SUMS, SIGNATURE, PROOF)  # not listed in SHA256SUMS


class State(StrEnum):
    """What the ledger says of a data set."""

    RELEASED = "released"
    SIMULATION = "simulation, not a release"
    CANDIDATE = "candidate, not released"
    UNKNOWN = "not in the ledger"


@dataclass(frozen=True)
class DataSet:
    """One sealed folder."""

    manifest: str
    folder: Path
    books: Books
    held: Held
    release: Release | None
    is_candidate: bool

    @property
    def id(self) -> str:
        """What addresses name it by."""
        return self.manifest[:SHORT]

    @property
    def state(self) -> State:
        """See `State`."""
        if self.release is not None:
            return State.RELEASED if self.release.kind == "release" else State.SIMULATION
        return State.CANDIDATE if self.is_candidate else State.UNKNOWN


@dataclass(frozen=True)
class File:
    """One file of a data set; `size` in bytes is None where it is missing."""

    name: str
    sha256: str
    size: int | None


def find(reading: Reading, more: Sequence[Path]) -> list[DataSet]:
    """Return every data set in the run folders, and those in the folders `more`, released ones first."""
    found: dict[str, DataSet] = {}
    for folder, books, held in [*_inside(reading), *_named(reading, more)]:
        if (made := _data_set(folder, books, held)) is not None:
            found.setdefault(made.manifest, made)
    return sorted(found.values(), key=lambda one: one.release is None)


def files(folder: Path) -> list[File]:
    """Return the files that may be fetched, in order of name, the seal last."""
    listed = [File(name, value, _size(folder, name)) for name, value in sorted(listed_sums(folder).items())]
    seal = [File(name, "", _size(folder, name)) for name in _SEAL]
    return [*listed, *(file for file in seal if file.size is not None)]


def path_of(folder: Path, name: str) -> Path | None:
    """Return the file of that name if it may be served: listed or of the seal, plain, and inside `folder`."""
    return _plain(folder, name) if name in _SEAL or name in listed_sums(folder) else None


def media_type(name: str) -> str:
    """Return what a browser is told a file is; text is never told to be a page, but for the viewer."""
    if name == VIEWER:
        return "text/html; charset=utf-8"
    if name == SHEET:
        return "image/png"
    if name.endswith((".md", ".tsv", ".csv", ".jsonl", ".yaml", ".txt", PROOF)) or "." not in Path(name).name:
        return "text/plain; charset=utf-8"
    if name.endswith(".json"):
        return "application/json"
    guessed, packed = mimetypes.guess_type(name)
    risky = guessed is None or packed is not None or guessed.startswith("text/") or "xml" in guessed
    return UNSHOWN if risky else str(guessed)


def card_of(folder: Path) -> str:
    """Return the data set's card, as written; "" where there is none."""
    return _text(folder, CARD)


def claims_of(folder: Path) -> dict[str, Any]:
    """Return the privacy claim for machines; {} where there is none that can be read."""
    try:
        claim = json.loads(_text(folder, DESCRIPTION) or "{}").get("DifferentialPrivacy", {})
    except (ValueError, AttributeError, RecursionError):
        return {}
    return claim if isinstance(claim, dict) else {}


def quick_findings(data: DataSet) -> list[Finding]:
    """Return what can be said without reading every file: who signed, and whether the ledger knows it."""
    key = data.books.ledger.terms.public_key
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
        words = f"{data.manifest[:SHORT]} is {data.state.value}{known}"
        found.append(Finding("the ledger knows this data set", data.release is not None, words))
    return found


def findings(data: DataSet) -> list[Finding]:
    """Read every file and return what an audit finds of this data set."""
    books = data.books
    key = books.ledger.terms.public_key
    found = [check_seal(data.folder, key)]
    if data.release is not None:
        found.append(check_release(data.folder, list(books.ledger.events), data.release.run, key))
    return found


def _inside(reading: Reading) -> Iterator[tuple[Path, Books, Held]]:
    """Yield the sealed folders inside run folders, with whose they are."""
    for books in reading.books:
        for held in books.held:
            for pattern in (f"[!.]*/{SUMS}", f"{CANDIDATES}/[!.]*/{SUMS}"):
                for path in sorted(held.folder.path.glob(pattern)):
                    yield path.parent, books, held


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


def _plain(folder: Path, name: str) -> Path | None:
    """Return the file if it is a plain one inside `folder`, with no link on the way, by its one shortest name."""
    root, path = folder.resolve(), folder / name
    try:
        real = path.resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # missing; a name with a zero byte; links in a circle
        return None
    return path if real == root / name and real.is_relative_to(root) and real.is_file() else None


def _text(folder: Path, name: str) -> str:
    path = path_of(folder, name)
    if path is None:
        return ""
    with path.open("rb") as file:
        return file.read(_MOST_TEXT).decode(errors="replace")


def _size(folder: Path, name: str) -> int | None:
    path = _plain(folder, name)
    return path.stat().st_size if path else None
