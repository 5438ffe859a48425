"""Which files of a data set may be fetched: those that SHA256SUMS lists, the seal itself, and no others."""

import json
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.dataset.files.bids import DESCRIPTION
from server.dataset.files.card import CARD
from server.dataset.files.cases import SHEET
from server.dataset.files.seal import PROOF, SUMS, UNLISTED, listed_sums
from server.dataset.viewer import VIEWER

UNSHOWN = "application/octet-stream"  # of what a browser saves and does not open
_MOST_TEXT = 1_000_000  # bytes of a card or description that are read


@dataclass(frozen=True)
class File:
    """One file of a data set; `size` in bytes is None where it is missing."""

    name: str
    sha256: str
    size: int | None


def files(folder: Path) -> list[File]:
    """Return the files that may be fetched, in order of name, the seal last."""
    if not folder.is_dir():
        return []
    listed = [File(name, value, _size(folder, name)) for name, value in sorted(listed_sums(folder).items())]
    seal = [File(name, "", _size(folder, name)) for name in UNLISTED]
    return [*listed, *(file for file in seal if file.size is not None)]


def path_of(folder: Path, name: str) -> Path | None:
    """Return the file of that name if it may be served: listed or of the seal, plain, and inside `folder`."""
    if not (folder / SUMS).is_file():
        return None
    return plain_file(folder, name) if name in UNLISTED or name in listed_sums(folder) else None


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


def plain_file(folder: Path, name: str) -> Path | None:
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
    path = plain_file(folder, name)
    return path.stat().st_size if path else None
