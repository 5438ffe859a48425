"""The append-only log, as pure functions of bytes: entries, their signatures, the Merkle tree over them.

An entry is one line of canonical JSON: {event, index, signature, signer, version}. The root of the tree over
the lines (`shared.ledger.merkle`) fixes the whole history; a coordinator signs it as a checkpoint.

How the format may evolve: `version` names the form of the line and of every event in it. A reader refuses
versions and event types it does not know; it never skips them.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.canonical import canonical
from shared.errors import LedgerError
from shared.identity import Identity, verify
from shared.ledger.events import SITE_EVENTS, Approval, Enrol, Event, Federation, Refuse, Steward
from shared.ledger.merkle import EMPTY, Frontier, leaf_hash

VERSION = 1
COORDINATOR = "coordinator"
EVENT_PURPOSE = "event"


class SignedEvent(BaseModel):
    """An event and the signature of the one it binds."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    event: Event
    signer: str
    signature: str

    @classmethod
    def by(cls, identity: Identity, event: Event) -> "SignedEvent":
        """Return `event` signed by `identity`."""
        signature = identity.sign(EVENT_PURPOSE, event_bytes(event))
        return cls(event=event, signer=identity.name, signature=signature)

    def is_signed_by(self, public_key: str) -> bool:
        """Whether the signature is of this event by the owner of `public_key`."""
        return verify(public_key, EVENT_PURPOSE, event_bytes(self.event), self.signature)


class _Line(SignedEvent):
    """The form of a log line."""

    index: int
    version: Literal[1]


@dataclass(frozen=True)
class Head:
    """Size and Merkle root of a log: a commitment to everything in it."""

    size: int
    root: str  # hexadecimal


NOTHING = Head(0, EMPTY.hex())


def event_bytes(event: Event) -> bytes:
    """Return the canonical bytes of an event: what is signed and compared."""
    return canonical(event.model_dump(mode="json"))


def line(index: int, signed: SignedEvent) -> bytes:
    """Return the log line of `signed` as entry `index`."""
    return canonical(signed.model_dump(mode="json") | {"index": index, "version": VERSION})


def bound(event: Event) -> str:
    """Return who answers for an event: a site's name, a steward (`steward_name`), or the coordinator."""
    if isinstance(event, Approval):
        return steward_name(event.steward)
    if isinstance(event, SITE_EVENTS) and not (isinstance(event, Refuse) and event.by == COORDINATOR):
        return event.site
    return COORDINATOR


def steward_name(name: str) -> str:
    """Return what a steward signs as: never what a site of the same name signs as."""
    return f"steward/{name}"


class Log:
    """Follows a log entry by entry, checking that each is in its place and signed by the one it binds."""

    def __init__(self, where: str) -> None:
        """Start before the first entry of the log called `where` (named in errors)."""
        self._where = where
        self._tree = Frontier()
        self._keys: dict[str, str] = {}  # who -> public key: the coordinator, sites, stewards in office

    @property
    def head(self) -> Head:
        """Size and root after the entries followed so far."""
        return Head(self._tree.size, self._tree.root.hex())

    @property
    def size(self) -> int:
        """Number of entries followed so far."""
        return self._tree.size

    def follow(self, raw: bytes) -> SignedEvent:
        """Take in the next line and return its event.

        Raises:
            LedgerError: see `check`.
        """
        signed = self.check(raw)
        self.take(raw, signed)
        return signed

    def take(self, raw: bytes, signed: SignedEvent) -> None:
        """Take in a line that was checked."""
        event = signed.event
        if isinstance(event, Enrol | Federation):
            self._keys[signed.signer] = event.public_key
        elif isinstance(event, Steward) and event.state == "named":
            self._keys[steward_name(event.name)] = event.public_key
        elif isinstance(event, Steward):
            del self._keys[steward_name(event.name)]
        self._tree.append(leaf_hash(raw))

    def check(self, raw: bytes) -> SignedEvent:
        """Return the event of a line that may come next, without taking it in.

        Raises:
            LedgerError: naming the log, the entry and what is wrong with it.
        """
        spot = f"{self._where}, entry {self.size}"
        signed = _parsed(raw, self.size, spot)
        event, who = signed.event, bound(signed.event)
        key = self._keys.get(who)
        if isinstance(event, Enrol | Federation):
            if key not in (None, event.public_key):
                raise LedgerError(f"{spot}: {who} was enrolled before with another key; restore that key")
            key = event.public_key
        if isinstance(event, Federation) and self.size:
            raise LedgerError(f"{spot}: a federation is founded once, by its first entry; restore a copy")
        if key is None or signed.signer != who or not signed.is_signed_by(key):
            raise LedgerError(f"{spot}: {event.type} is not signed by {who}; restore the ledger from a copy")
        if isinstance(event, Steward):
            self._check_steward(event, spot)
        return signed

    def _check_steward(self, event: Steward, spot: str) -> None:
        """Refuse to name whom has an office already, or with a key that signs for another; to withdraw another."""
        held = self._keys.get(steward_name(event.name))
        if event.state == "withdrawn" and held != event.public_key:
            raise LedgerError(f"{spot}: {event.name} is no steward with this key, so cannot be withdrawn")
        if event.state == "named" and held is not None:
            raise LedgerError(
                f"{spot}: {event.name} is a steward already; withdraw that key before naming another"
            )
        if event.state == "named" and event.public_key in self._keys.values():
            raise LedgerError(
                f"{spot}: the key named for {event.name} is somebody else's; a steward has an own one"
            )


def _parsed(raw: bytes, index: int, spot: str) -> SignedEvent:
    try:
        found = _Line.model_validate(json.loads(raw))
    except (ValueError, RecursionError) as err:
        raise LedgerError(f"{spot}: damaged or of an unknown kind; restore the ledger from a copy") from err
    signed = SignedEvent(event=found.event, signer=found.signer, signature=found.signature)
    if found.index != index or line(index, signed) != raw:
        raise LedgerError(f"{spot}: not the entry that belongs here; the ledger was altered: restore a copy")
    return signed


def parse(lines: Iterable[bytes], where: str) -> list[SignedEvent]:
    """Return the events of a log after checking the place and signature of every entry.

    Raises:
        LedgerError: naming `where`, the entry and what is wrong with it.
    """
    log = Log(where)
    return [log.follow(raw) for raw in lines]
