"""The ledger as it is served: the lines that one signed checkpoint fixes, and proofs about them.

A live coordinator exports its ledger whenever something may be relied on: lines first, then the checkpoint, each
file replaced in one step. So whoever reads the checkpoint first finds at least its lines, and serves no more than
those: lines, tree and checkpoint always have one size.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from server.audit.service.released import releases_of
from server.ledger.export import CHECKPOINT, WITNESSED, read_checkpoint, read_lines
from server.ledger.tree import Tree
from shared.errors import LedgerError
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.events import EVENT, Event, Federation, Release, Run
from shared.ledger.log import NOTHING
from shared.ledger.merkle import leaf_hash
from shared.ledger.view import head_of

_READ = ("federation", "run", "release")  # events that say what else may be served


class History:
    """A ledger that only grows: a reader may go on with any size that it was told.

    Attributes:
        checkpoint: the newest, of exactly `lines`; None before the first export was taken in.
        witnessed: the last one that hospitals cosigned, if any did.
        lines: as they are hashed.
        tree: over the lines.
        runs: every run declared.
        released: see `releases_of`.
        key: the coordinator's, as the first entry names it (hexadecimal).
    """

    def __init__(self) -> None:
        self.checkpoint: Checkpoint | None = None
        self.witnessed: Checkpoint | None = None
        self.lines: list[bytes] = []
        self.tree = Tree()
        self.runs: set[str] = set()
        self.released: dict[str, Release] = {}
        self.key = ""

    def take(self, export: Path) -> None:
        """Take in an export of the ledger; an older one is only compared.

        Raises:
            LedgerError: a file is missing or damaged, or it is not of the ledger known; nothing is taken in.
        """
        shown = read_checkpoint(export / CHECKPOINT)
        known = self.checkpoint.head if self.checkpoint else NOTHING
        if shown.head.size > known.size:
            self._extend(read_lines(export), shown, export)
        self._check(shown, export / CHECKPOINT)
        if (export / WITNESSED).exists():
            self._witness(read_checkpoint(export / WITNESSED), export / WITNESSED)

    def _extend(self, lines: Sequence[bytes], shown: Checkpoint, export: Path) -> None:
        size, known = shown.head.size, len(self.lines)
        if lines[:known] != self.lines or head_of(lines[:size]) != shown.head:
            raise LedgerError(f"{export}: its checkpoint is not of the lines known; one was forked: keep both")
        events = [event for event in map(_told, lines[known:size]) if event]
        key = next((event.public_key for event in events if isinstance(event, Federation)), self.key)
        if not shown.is_by(key):
            raise LedgerError(f"{export}: the checkpoint is not signed by who keeps this ledger; export it again")
        for line in lines[known:size]:
            self.tree.append(leaf_hash(line))
        self.lines.extend(lines[known:size])
        self.runs.update(event.run for event in events if isinstance(event, Run))
        self.released |= releases_of(events)
        self.key, self.checkpoint = key, shown

    def _check(self, shown: Checkpoint, where: Path) -> None:
        if not shown.is_by(self.key) or self.tree.root(shown.head.size).hex() != shown.head.root:
            raise LedgerError(f"{where}: of another ledger than the one served; one was forked: keep both")

    def _witness(self, shown: Checkpoint, where: Path) -> None:
        if shown.head.size > len(self.lines):
            return  # an export is being written; its checkpoint comes last
        self._check(shown, where)
        if self.witnessed is None or shown.head.size >= self.witnessed.head.size:
            self.witnessed = shown


def _told(raw: bytes) -> Event | None:
    """Return the event of a line, if it says what else may be served.

    Raises:
        LedgerError: the line is damaged.
    """
    try:
        event = json.loads(raw)["event"]
        return EVENT.validate_python(event) if event["type"] in _READ else None
    except (ValueError, KeyError, TypeError) as err:
        raise LedgerError("a line of the ledger is damaged; restore it from a copy, and export it again") from err
