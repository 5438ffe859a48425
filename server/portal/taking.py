"""Taking a signed approval into the ledger: the steward's signature is the only authority, and is checked here."""

import fcntl
import time
from contextlib import closing, suppress
from pathlib import Path

from server.dataset.releasing.approval import accept_approval
from server.dataset.releasing.candidate import DIGITS
from server.portal.books import Held
from server.portal.datasets import DataSet
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
        PublicationRefused: signature, steward or decision do not count (`accept_approval`).
        LedgerError: the ledger cannot be written.
    """
    _check_subject(data, text)
    ledger = ledger_of(data.held)
    _wait_for(ledger)
    with closing(LedgerStore(ledger, create=False)) as store:
        return accept_approval(store, text.encode())


def _check_subject(data: DataSet, text: str) -> None:
    """Refuse what was signed of another candidate than the page's; what is no approval is refused later."""
    try:
        event = SignedEvent.model_validate_json(text).event
    except ValueError:
        return
    if isinstance(event, Approval) and event.manifest != data.manifest:
        other = event.manifest[:DIGITS]
        raise UsageError(f"this was signed of {other}, and the page is of {data.id}; open the page of {other}")


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
