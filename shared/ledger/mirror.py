"""A log's second copy: one line an entry, for people and plain tools, and a check on the database.

A crash may leave the mirror behind the log, or with half a line; it is completed then. One that is not a
beginning of the log is refused: the log was edited, or an older copy of it was brought back.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from shared.errors import LedgerError


class Mirror:
    """The file `<ledger>.jsonl`, always a beginning of the log it mirrors."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self) -> None:
        """Start the mirror of an empty log."""
        self._path.touch()

    def complete(self, lines: Sequence[bytes]) -> None:
        """Compare the mirror with the whole log, and write what it lacks.

        Raises:
            LedgerError: it is missing, or is no beginning of the log; nothing was changed.
            OSError: it cannot be read or written.
        """
        if not self._path.exists():
            raise LedgerError(
                f"{self._path}: missing, and the ledger is checked by it; restore both from one copy"
            )
        if not b"".join(raw + b"\n" for raw in lines).startswith(self._path.read_bytes()):
            raise LedgerError(
                f"{self._path}: differs from the ledger beside it: one of them was altered or is an older copy; "
                "restore the later of each"
            )
        self.extend(lines)

    def extend(self, lines: Sequence[bytes]) -> None:
        """Write what the mirror lacks at its end, durably.

        Raises:
            OSError: it cannot be written.
        """
        with self._path.open("r+b") as file:
            lacking = sum(len(raw) + 1 for raw in lines) - file.seek(0, os.SEEK_END)
            tail = b""
            for raw in reversed(lines):
                if len(tail) >= lacking:
                    break
                tail = raw + b"\n" + tail
            if lacking > 0:
                file.write(tail[-lacking:])
                file.flush()
                os.fsync(file.fileno())
