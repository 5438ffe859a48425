"""What the portal reads: run folders, and the ledgers of the federations they belong to.

Every request reads anew. A ledger is taken from the federation's own folder where that is at hand, because it is
the newest, else from the run folders' exports; the longest history wins, and any other must be its beginning.
Nothing is written, and no key is read.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from server.ledger.export import CHECKPOINT, LINES, WITNESSED, read_checkpoint
from server.run.folder import RunFolder
from shared.errors import LedgerError, WillisError
from shared.ledger.checkpoint import Checkpoint, origin_of
from shared.ledger.events import Enrol, Federation
from shared.ledger.log import SignedEvent, parse
from shared.ledger.verify import is_beginning
from shared.ledger.view import RunView, founding, views

_KEPT = 16  # parsed ledgers; an unchanged file is not checked again


@dataclass(frozen=True, eq=False)  # hashed by identity: figures of a ledger are computed once
class Ledger:
    """A ledger whose every entry is in its place and signed by the one it binds."""

    lines: tuple[bytes, ...]
    events: tuple[SignedEvent, ...]
    runs: dict[str, RunView]

    @property
    def terms(self) -> Federation:
        """The federation's first entry."""
        return founding(self.events)

    @property
    def simulations(self) -> int:
        """How many runs took their noise from a seed, so that no figure of theirs protects anybody."""
        return sum(run.is_seeded for run in self.runs.values())

    @cached_property
    def enrolled(self) -> dict[str, Enrol]:
        """The last enrolment of each site, in order of the first."""
        return {e.site: e for e in (signed.event for signed in self.events) if isinstance(e, Enrol)}


@dataclass(frozen=True)
class Held:
    """A run folder: what pages call it, and the run it is about ("" before a plan was agreed)."""

    name: str
    folder: RunFolder
    run: str


@dataclass(frozen=True)
class Books:
    """One federation, as far as the run folders at hand tell of it."""

    ledger: Ledger
    signed: Checkpoint | None  # the newest checkpoint that is the coordinator's, and of this ledger
    witnessed: Checkpoint | None  # the newest that hospitals cosigned
    held: tuple[Held, ...]
    faults: tuple[str, ...]

    @property
    def id(self) -> str:
        """What addresses of its pages name it by: the end of its log's origin."""
        return origin_of(self.ledger.terms.public_key).rpartition("/")[2]

    def holder(self, run: str) -> Held | None:
        """Return the folder of a run, if it is at hand."""
        return next((held for held in self.held if held.run == run), None)


@dataclass(frozen=True)
class Unread:
    """A run folder of which nothing can be shown yet, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Reading:
    """Everything at hand at one moment."""

    books: tuple[Books, ...]
    unread: tuple[Unread, ...]

    @property
    def only(self) -> Books | None:
        """The one federation; None where there are several, or none."""
        return self.books[0] if len(self.books) == 1 else None

    def of(self, federation: str) -> Books | None:
        """Return the federation of that id."""
        return next((books for books in self.books if books.id == federation), None)


def names_of(paths: Sequence[Path]) -> list[str]:
    """Return a name for each folder: its last part, numbered where two are alike."""
    plain = [path.resolve().name for path in paths]
    return [
        name if plain.count(name) == 1 else f"{name} ({plain[: i + 1].count(name)})"
        for i, name in enumerate(plain)
    ]


def read(paths: Sequence[Path]) -> Reading:
    """Read run folders; what cannot be read is told, and hides nothing else."""
    found: dict[str, list[tuple[Held, list[Ledger]]]] = {}
    unread = []
    for name, path in zip(names_of(paths), paths, strict=True):
        folder = RunFolder(path)
        try:
            histories = _histories(folder)
            held = Held(name, folder, folder.plan().run if folder.plan_file.exists() else "")
            found.setdefault(histories[0].terms.public_key, []).append((held, histories))
        except WillisError as err:
            unread.append(Unread(name, str(err)))
    return Reading(tuple(_books(group) for group in found.values()), tuple(unread))


def _histories(folder: RunFolder) -> list[Ledger]:
    """Return what is at hand of the run's ledger: the federation's own copy, the run's export, or both."""
    places = [folder.ledger / LINES]
    with suppress(WillisError):  # a copy of a run, on a machine without the federation
        places.append(folder.home.path / LINES)
    data = [place.read_bytes() for place in places if place.is_file()]
    whole = [text[: text.rfind(b"\n") + 1] for text in data]  # the last line may be being written
    if not any(whole):
        raise LedgerError("there is no ledger yet; it is there once the run has begun, or name another folder")
    found = [_parsed(text) for text in whole if text]
    if len({one.terms.public_key for one in found}) > 1:
        raise LedgerError("its export is of another federation than the folder it names; restore one of them")
    return found


@lru_cache(maxsize=_KEPT)
def _parsed(data: bytes) -> Ledger:
    lines = tuple(data[:-1].split(b"\n"))
    events = tuple(parse(lines, "the ledger"))
    return Ledger(lines, events, views(events))


def _books(group: Sequence[tuple[Held, Sequence[Ledger]]]) -> Books:
    longest = max((one for _, histories in group for one in histories), key=lambda one: len(one.lines))
    faults = []
    for held, histories in group:
        if any(one.lines != longest.lines[: len(one.lines)] for one in histories):
            faults.append(f"{held.name} holds another history of this ledger: it was forked. Stop publishing")
    all_held = tuple(held for held, _ in group)
    signed, more = _newest(all_held, CHECKPOINT, longest)
    witnessed, still_more = _newest(all_held, WITNESSED, longest)
    return Books(longest, signed, witnessed, all_held, (*faults, *more, *still_more))


def _newest(all_held: Iterable[Held], file: str, ledger: Ledger) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest checkpoint among the runs' files of that name, and what is wrong with others."""
    found, faults = [], []
    for held in all_held:
        path, whose = held.folder.ledger / file, f"The file {file} of run {held.name}"
        if not path.is_file():
            continue
        try:
            checkpoint = read_checkpoint(path)
        except LedgerError:
            faults.append(f"{whose} is no signed checkpoint; get it again")
            continue
        if not checkpoint.is_by(ledger.terms.public_key):
            faults.append(f"{whose} is not signed by the coordinator's key; get it again")
        elif not is_beginning(checkpoint.head, ledger.lines):
            faults.append(f"{whose} is not of this ledger; stop publishing, and compare what hospitals keep")
        else:
            found.append(checkpoint)
    return max(found, key=lambda one: one.head.size, default=None), faults
