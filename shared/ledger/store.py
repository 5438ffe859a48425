"""A log on disk: SQLite, rollback journal, synchronous FULL, one writer.

Contract: `append` returns only when the entry is durable. A log is never created by opening it for reading,
and never repaired: a damaged one is refused by name.
"""

import copy
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import LedgerError
from shared.ledger.events import Event
from shared.ledger.log import Chain, Head, SignedEvent, line


class LedgerStore:
    """One append-only ledger file, checked from its first entry when opened."""

    def __init__(self, path: Path, *, create: bool) -> None:
        """Open the ledger at `path`.

        Raises:
            LedgerError: it does not exist (and `create` is False), is damaged, or cannot be written.
        """
        self.path = path
        if not create and not path.exists():
            msg = "no ledger here, and without it what was spent is not known"
            raise LedgerError(f"{path}: {msg}; restore it from a copy")
        with self._guard():
            if not path.exists():
                _make(path)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=DELETE")
            self._db.execute("PRAGMA synchronous=FULL")
            rows = self._db.execute("SELECT line FROM log ORDER BY id").fetchall()
        # What is not bytes was not written here; the chain refuses it as damaged.
        self._lines = [line if isinstance(line, bytes) else b"" for (line,) in rows]
        self._chain = Chain(str(path))
        self._events = [self._chain.follow(raw) for raw in self._lines]

    @property
    def events(self) -> list[SignedEvent]:
        """All entries so far, in order."""
        return list(self._events)

    @property
    def lines(self) -> list[bytes]:
        """All entries so far, as the bytes that are hashed."""
        return list(self._lines)

    @property
    def head(self) -> Head:
        """Size and last hash."""
        return self._chain.head

    def append(self, signed: SignedEvent) -> None:
        """Make `signed` the next entry, durably.

        Raises:
            LedgerError: it could not be written (the log is unchanged then), or its signature is wrong.
        """
        raw = line(self.head, signed)
        chain = copy.deepcopy(self._chain)
        chain.follow(raw)
        with self._guard():
            self._db.execute("INSERT INTO log (id, line) VALUES (?, ?)", (self.head.size, raw))
        self._lines.append(raw)
        self._events.append(signed)
        self._chain = chain

    def append_once(self, signed: SignedEvent, same: Callable[[Event], bool]) -> None:
        """Append `signed` unless an entry for which `same` holds is there already, with equal content.

        Raises:
            LedgerError: the entry is there with other content: history would be contradicted.
        """
        for known in self._events:
            if same(known.event):
                if known.event != signed.event:
                    msg = f"{self.path}: {known.event.type} was recorded before with other content"
                    raise LedgerError(f"{msg}; this is not the same run")
                return
        self.append(signed)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as err:  # the next place in the log is taken
            msg = f"{self.path}: another process wrote to it meanwhile; let it finish, then try again"
            raise LedgerError(msg) from err
        except (sqlite3.Error, OSError) as err:
            msg = f"{self.path}: {err}; free disk space or restore the ledger from a copy"
            raise LedgerError(msg) from err


def _make(path: Path) -> None:
    """Put an empty ledger at `path` in one step: a file there always has its table, whatever crashed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.unlink(missing_ok=True)
    database = sqlite3.connect(temporary)
    try:
        database.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, line BLOB NOT NULL)")
    finally:
        database.close()
    os.replace(temporary, path)
