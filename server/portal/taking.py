"""Taking a signed approval into the ledger: the steward's signature is the only authority, and is checked here."""

import fcntl
import time
from contextlib import closing, suppress
from pathlib import Path

from server.portal.books import Held
from server.portal.datasets import SHORT, DataSet
from shared.errors import LedgerError, UsageError
from shared.ledger.events import Approval
from shared.ledger.log import SignedEvent
from shared.ledger.store import LedgerStore

_SECONDS = 3.0  # a ledger that is being written is waited for; each entry takes milliseconds


class LedgerBusy(LedgerError):
    """Another process holds the ledger; nothing was written, and the same approval may be sent again."""


def take(data: DataSet, text: str) -> Approval:
    """Append a signed approval of this candidate to its federation's ledger, and return it.

    Raises:
        UsageError: it is no approval, is of another candidate, or the federation's ledger is not on this machine.
        LedgerBusy: the ledger is being written to.
        LedgerError: the signature is not one of a steward in office, or the steward decided otherwise before.
    """
    approval = _parsed(text).event
    if not isinstance(approval, Approval) or approval.manifest != data.manifest:
        other = f"of {approval.manifest[:SHORT]}" if isinstance(approval, Approval) else "not an approval"
        raise UsageError(f"this is {other}, and the page is of {data.id}; open the page of what was signed")
    ledger = ledger_of(data.held)
    _wait_for(ledger)
    with closing(LedgerStore(ledger, create=False)) as store:
        return accept_approval(store, text.encode())


def accept_approval(store: LedgerStore, data: bytes) -> Approval:
    """Append a signed approval, once."""
    signed = _parsed(data.decode())
    approval = signed.event
    assert isinstance(approval, Approval)

    def same(known: object) -> bool:
        key = (approval.run, approval.manifest, approval.steward)
        return isinstance(known, Approval) and (known.run, known.manifest, known.steward) == key

    store.append_once(signed, same)
    return approval


def ledger_of(held: Held) -> Path:
    """Return the ledger of a run's federation.

    Raises:
        UsageError: it is not on this machine.
    """
    with suppress(UsageError):
        if (path := held.folder.home.ledger_file).is_file():
            return path
    raise UsageError("the federation's ledger is not on this machine; send the signed approval to the coordinator")


def is_busy(ledger: Path) -> bool:
    """Whether another process is writing to the ledger at this moment."""
    try:
        with ledger.with_suffix(".lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _wait_for(ledger: Path) -> None:
    end = time.monotonic() + _SECONDS
    while is_busy(ledger):
        if time.monotonic() > end:
            raise LedgerBusy(
                "a coordinator is writing to the ledger; nothing was taken, send the same again later"
            )
        time.sleep(0.05)


def _parsed(text: str) -> SignedEvent:
    try:
        return SignedEvent.model_validate_json(text)
    except ValueError as err:
        words = (
            "this is not a signed approval; `willis dataset approve` writes one, paste or choose the whole of it"
        )
        raise UsageError(words) from err
