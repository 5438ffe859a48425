"""What changed from one app bundle to another, for a person to read."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_LIST = ".info/CONTENT"  # Flower's list of the other files' digests; it says nothing of its own

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Change:
    """A file that is not as it was.

    Attributes:
        path: in the bundle.
        kind: added, removed or changed.
        diff: unified, one line an element; nothing in it can steer a terminal.
    """

    path: str
    kind: str
    diff: tuple[str, ...]

    @property
    def lines(self) -> tuple[int, int]:
        """How many lines were added and removed."""
        body = self.diff[2:]  # below the two names
        return sum(line.startswith("+") for line in body), sum(line.startswith("-") for line in body)


def changes(before: Files, after: Files) -> list[Change]:
    """Return what changed, in order of path."""
    return list(_changes(before, after))


def plain(text: str) -> str:
    """Return text with everything invisible written out: codes for terminals, marks that turn its direction."""
    return "".join(c if c.isprintable() or c == "\t" else f"\\u{{{ord(c):x}}}" for c in text)


def _changes(before: Files, after: Files) -> Iterator[Change]:
    for path in sorted({*before, *after} - {_LIST}):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        kind = "added" if old is None else "removed" if new is None else "changed"
        said = difflib.unified_diff(_lines(old), _lines(new), f"approved/{path}", f"asked/{path}", lineterm="")
        yield Change(path, kind, tuple(plain(line) for line in said))


def _lines(content: bytes | None) -> list[str]:
    """Return lines as Python ends them; what is no UTF-8 is shown by its bytes."""
    if content is None:
        return []
    lines = content.decode("utf-8", "backslashreplace").split("\n")
    last = lines.pop()
    return [*lines, f"{last} (no end of line)"] if last else lines
