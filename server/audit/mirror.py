"""A mirror of the ledger: fetched line by line, each checked as it comes, and taken over only as a whole.

What has come of an unfinished fetch lies apart, so that `ledger.jsonl` and `checkpoint` always belong together,
and a fetch that was killed goes on where it was.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from server.audit.kept import coordinator_of, kept_at, observe
from server.audit.remote import Remote
from server.ledger.export import CHECKPOINT, LINES, WITNESSED, jsonl, read_lines
from shared.errors import LedgerError
from shared.files import write_durably
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.log import Log, SignedEvent
from shared.ledger.verify import is_beginning
from shared.ledger.view import founding
from shared.ledger.witness import read_shown

INCOMING = "incoming.jsonl"
Report = Callable[[str, int, int], None]  # what is being done, steps done, steps in all


@dataclass(frozen=True)
class Fetched:
    """A ledger that was checked: every place and signature, and the checkpoint of all of it.

    Attributes:
        lines: as they are hashed.
        events: of the lines.
        key: the coordinator's (hexadecimal).
        new: how many entries were not held before.
        witnessed: the checkpoint that hospitals cosigned last, if any did.
    """

    lines: list[bytes]
    events: list[SignedEvent]
    key: str
    new: int
    witnessed: Checkpoint | None


def fetch_ledger(remote: Remote, out: Path, pin: str | None, report: Report) -> Fetched:
    """Bring OUT/ledger up to the service's newest checkpoint.

    Args:
        remote: the service.
        out: the mirror; what it holds has to be a beginning of what is served.
        pin: the coordinator's public key (hexadecimal), where the auditor knows it.
        report: told of the progress.

    Raises:
        Contradicted: the ledger was rewound or forked since the last fetch.
        LedgerError, ProtocolError: the ledger served, or the one held, is not what its checkpoint fixes, or is
            another coordinator's.
        ServiceError: the service fails.
    """
    folder = out / "ledger"
    following = _Following(folder)
    key = pin or following.key or coordinator_of(remote)
    if following.key not in ("", key):
        raise LedgerError(f"{folder}: the mirror of a ledger with key {following.key[:16]}…; name another folder")
    shown = observe(remote, following.kept, key, out)
    held = len(following.lines)
    following.resume(shown.head.size)
    for batch in remote.events(len(following.lines), shown.head.size):
        following.take(batch)
        report("ledger", len(following.lines), shown.head.size)
    following.finish(shown)
    witnessed = _fetch_witnessed(remote, folder, following.lines, key)
    return Fetched(following.lines, following.events, key, len(following.lines) - held, witnessed)


class _Following:
    """A mirror's folder while it is brought up to date."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / INCOMING
        self._log = Log("the ledger fetched")
        self.lines: list[bytes] = []
        self.events: list[SignedEvent] = []
        self.kept = kept_at(folder / CHECKPOINT)
        if self.kept:
            self._follow(read_lines(folder)[: self.kept.head.size])  # more, where a fetch was killed at its end
            if self._log.head != self.kept.head:
                raise LedgerError(f"{folder}: changed since it was fetched; fetch into another folder")

    @property
    def key(self) -> str:
        """The coordinator's key; "" before anything is held."""
        return founding(self.events, f"{self._folder}: this ledger").public_key if self.events else ""

    def resume(self, size: int) -> None:
        """Take in what an unfinished fetch has left, up to `size` entries in all; what is damaged is dropped."""
        found = self._incoming.read_bytes() if self._incoming.exists() else b""
        whole, begun = found.split(b"\n")[:-1], len(self.lines)
        with suppress(LedgerError):  # what followed on an older state comes again
            self._follow(whole[: size - begun])
        write_durably(self._incoming, jsonl(self.lines[begun:]))

    def take(self, batch: Sequence[bytes]) -> None:
        """Check the next lines and set them aside."""
        begun = len(self.lines)
        self._follow(batch)
        with self._incoming.open("ab") as file:
            file.write(jsonl(self.lines[begun:]))

    def finish(self, shown: Checkpoint) -> None:
        """Take everything over, if it is what the checkpoint fixes."""
        if self._log.head != shown.head:
            self._incoming.unlink()
            raise LedgerError("the entries served are not those that the checkpoint fixes; tell the centre")
        if self.kept is None or self.kept.head != shown.head:
            write_durably(self._folder / LINES, jsonl(self.lines))
            write_durably(self._folder / CHECKPOINT, shown.text.encode())
        self._incoming.unlink()

    def _follow(self, lines: Sequence[bytes]) -> None:
        for raw in lines:
            self.events.append(self._log.follow(raw))
            self.lines.append(raw)


def _fetch_witnessed(remote: Remote, folder: Path, lines: list[bytes], key: str) -> Checkpoint | None:
    """Keep and return the checkpoint that hospitals cosigned, if it is of the ledger as far as it was fetched."""
    text = remote.checkpoint()[1]
    shown = read_shown(text, key) if text else None
    if shown is None or shown.head.size > len(lines):
        return None  # of what came meanwhile; the next fetch has it
    if not is_beginning(shown.head, lines):
        raise LedgerError("the checkpoint that hospitals cosigned is of another ledger: it was forked; tell them")
    write_durably(folder / WITNESSED, shown.text.encode())
    return shown
