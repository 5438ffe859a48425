"""The append-only log, as pure functions of bytes: entries, their hash chain, the signed head.

An entry is one line of canonical JSON: {event, index, previous, signature, signer}. `previous` is the SHA-256
of the line before, so that the head (number of lines, hash of the last) fixes the whole history.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from shared.canonical import canonical, digest
from shared.errors import LedgerError
from shared.identity import Identity, verify
from shared.ledger.events import SITE_EVENTS, Enrol, Event, Refuse

GENESIS = "0" * 64
EVENT_PURPOSE = "event"
HEAD_PURPOSE = "ledger-head"


class SignedEvent(BaseModel):
    """An event and the signature of its site; coordinator events carry none (the head covers them)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    event: Event
    signer: str
    signature: str = ""

    @classmethod
    def by(cls, identity: Identity, event: Event) -> "SignedEvent":
        """Return `event` signed by `identity`."""
        signature = identity.sign(EVENT_PURPOSE, event_bytes(event))
        return cls(event=event, signer=identity.name, signature=signature)

    def is_signed_by(self, public_key: str) -> bool:
        """Whether the signature is of this event by the owner of `public_key`."""
        return verify(public_key, EVENT_PURPOSE, event_bytes(self.event), self.signature)


@dataclass(frozen=True)
class Head:
    """Size and last hash of a log: a commitment to everything in it."""

    size: int
    hash: str

    def message(self) -> bytes:
        """Return the bytes a coordinator signs."""
        return canonical({"hash": self.hash, "size": self.size})


def event_bytes(event: Event) -> bytes:
    """Return the canonical bytes of an event: what is signed and compared."""
    return canonical(event.model_dump(mode="json"))


def line(before: Head, signed: SignedEvent) -> bytes:
    """Return the log line of `signed` that follows a log with head `before`."""
    return canonical(signed.model_dump(mode="json") | {"index": before.size, "previous": before.hash})


class Chain:
    """Follows a log entry by entry, checking that each follows from the one before and is rightly signed."""

    def __init__(self, where: str) -> None:
        """Start before the first entry of the log called `where` (named in errors)."""
        self.head = Head(0, GENESIS)
        self._where = where
        self._keys: dict[str, str] = {}  # site -> public key, from the enrolments so far

    def follow(self, raw: bytes) -> SignedEvent:
        """Return the event of the next line.

        Raises:
            LedgerError: naming the log, the entry and what is wrong with it.
        """
        spot = f"{self._where}, entry {self.head.size}"
        signed = self._parse(raw, spot)
        self._check_signature(signed, spot)
        if isinstance(signed.event, Enrol):
            self._keys[signed.event.site] = signed.event.public_key
        self.head = Head(self.head.size + 1, digest(raw))
        return signed

    def _parse(self, raw: bytes, spot: str) -> SignedEvent:
        try:
            fields = json.loads(raw)
            place = Head(fields.pop("index"), fields.pop("previous"))
            signed = SignedEvent.model_validate(fields)
        except (ValueError, KeyError, AttributeError, TypeError) as err:
            msg = f"{spot}: damaged or of an unknown kind; restore the ledger from a copy"
            raise LedgerError(msg) from err
        if place != self.head or line(self.head, signed) != raw:
            raise LedgerError(
                f"{spot}: does not follow from the entry before it; the ledger was altered: restore a copy"
            )
        return signed

    def _check_signature(self, signed: SignedEvent, spot: str) -> None:
        event = signed.event
        if isinstance(event, Enrol):
            key: str | None = self._keys.get(event.site, event.public_key)
            if key != event.public_key:
                raise LedgerError(f"{spot}: {event.site} was enrolled before with another key; restore that key")
        elif isinstance(event, SITE_EVENTS) and not (isinstance(event, Refuse) and event.by == "coordinator"):
            key = self._keys.get(event.site)
        else:
            return
        if key is None or signed.signer != event.site or not signed.is_signed_by(key):
            raise LedgerError(
                f"{spot}: {event.type} is not signed by {event.site}; restore the ledger from a copy"
            )


def parse(lines: Iterable[bytes], where: str) -> list[SignedEvent]:
    """Return the events of a log after checking its chain and every site's signature.

    Raises:
        LedgerError: naming `where`, the entry and what is wrong with it.
    """
    chain = Chain(where)
    return [chain.follow(raw) for raw in lines]
