"""A log on disk: SQLite, rollback journal, synchronous EXTRA, one writer at a time, and a mirror in plain lines.

Contract: `append` returns only when the entry is durable. A log is never created by opening it for reading,
and never repaired: a damaged one is refused by name. The mirror (`ledger.jsonl` beside `ledger.sqlite`) is
written after each entry and must be a beginning of the log: an older copy of the database brought back, or
an edit of either file, shows when the two are compared.

Several processes may have the log open: each append takes a lock, reads what others wrote meanwhile, and
then adds its entry.
"""

import fcntl
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import LedgerError
from shared.ledger.events import Event
from shared.ledger.log import Head, Log, SignedEvent, line
from shared.ledger.mirror import Mirror


class LedgerStore:
    """One append-only ledger file, checked from its first entry when opened."""

    def __init__(self, path: Path, *, create: bool) -> None:
        """Open the ledger at `path`.

        Raises:
            LedgerError: it does not exist (and `create` is False), is damaged, or cannot be written.
        """
        self.path = path
        self._mirror = Mirror(path.with_suffix(".jsonl"))
        if not create and not path.exists():
            msg = "no ledger here, and without it what was spent is not known"
            raise LedgerError(f"{path}: {msg}; restore it from a copy")
        self._log = Log(str(path))
        self._lines: list[bytes] = []
        self._events: list[SignedEvent] = []
        self._known: dict[tuple[str, str], list[Event]] = defaultdict(list)  # by type and run
        with self._guard():
            if not path.exists():
                _make(path, self._mirror)
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60.0)
            self._db.execute("PRAGMA journal_mode=DELETE")
            self._db.execute("PRAGMA synchronous=EXTRA")  # FULL, and the folder too when the journal is removed
        with self._alone(), self._guard():
            self._mirror.complete(self._lines)

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
        """Size and Merkle root."""
        return self._log.head

    def append(self, signed: SignedEvent) -> None:
        """Make `signed` the next entry, durably.

        Raises:
            LedgerError: it could not be written, or its signature is wrong.
        """
        with self._alone():
            self._append(signed)

    def append_once(self, signed: SignedEvent, same: Callable[[Event], bool]) -> None:
        """Append `signed` unless an entry for which `same` holds is there already, with equal content.

        Raises:
            LedgerError: the entry is there with other content: history would be contradicted; or see `append`.
        """
        with self._alone():
            self._log.check(line(self._log.size, signed))  # a wrong signature is refused also where nothing is new
            for known in self._known[_kind(signed.event)]:
                if same(known):
                    if known != signed.event:
                        msg = f"{self.path}: {known.type} was recorded before with other content"
                        raise LedgerError(f"{msg}; this is not the same run")
                    return
            self._append(signed)

    def close(self) -> None:
        """Release the file."""
        self._db.close()

    def _append(self, signed: SignedEvent) -> None:
        raw = line(self._log.size, signed)
        checked = self._log.check(raw)
        with self._guard():
            self._db.execute("INSERT INTO log (id, line) VALUES (?, ?)", (self._log.size, raw))
            self._take(raw, checked)
            self._mirror.extend(self._lines)

    def _take(self, raw: bytes, signed: SignedEvent) -> None:
        self._log.take(raw, signed)
        self._lines.append(raw)
        self._events.append(signed)
        self._known[_kind(signed.event)].append(signed.event)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold off other writers, after taking in what they wrote."""
        with self._guard():
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with self._guard():
                query = "SELECT line FROM log WHERE id >= ? OR id < 0 ORDER BY id"
                rows = self._db.execute(query, (self._log.size,)).fetchall()
            for (raw,) in rows:
                # What is not bytes was not written here; the log refuses it as damaged.
                self._take(raw, self._log.check(raw if isinstance(raw, bytes) else b""))
            yield
        finally:
            os.close(lock)

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as err:
            msg = f"{self.path}: {err}; free disk space or restore the ledger from a copy"
            raise LedgerError(msg) from err


def _kind(event: Event) -> tuple[str, str]:
    return event.type, getattr(event, "run", "")


def _make(path: Path, mirror: Mirror) -> None:
    """Put an empty ledger at `path` in one step: a file there always has its table, whatever crashed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    temporary.unlink(missing_ok=True)
    database = sqlite3.connect(temporary)
    try:
        database.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, line BLOB NOT NULL)")
    finally:
        database.close()
    mirror.make()
    os.replace(temporary, path)
