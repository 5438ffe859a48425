"""How the coordinator writes its own events: signed, and once."""

from collections.abc import Callable

from shared.identity import Identity
from shared.ledger.events import Event
from shared.ledger.log import SignedEvent
from shared.ledger.store import LedgerStore


class Recorder:
    """Appends the coordinator's events to the ledger."""

    def __init__(self, ledger: LedgerStore, coordinator: Identity) -> None:
        self._ledger = ledger
        self._coordinator = coordinator

    def __call__(self, event: Event, same: Callable[[Event], bool] | None = None) -> None:
        """Append `event` unless it, or one for which `same` holds, is there.

        Raises:
            LedgerError: it cannot be written, or what is there for which `same` holds differs.
        """
        signed = SignedEvent.by(self._coordinator, event)
        self._ledger.append_once(signed, same or (lambda known: known == event))
