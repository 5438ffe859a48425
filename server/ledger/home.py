"""The coordinator's home: its key, and the one ledger of all runs of a federation.

A federation is founded once, with the terms every run keeps to (δ, overlap). Key and ledger stay together: the
ledger names the key in its first entry, and the hospitals keep checkpoints signed with it.
"""

from pathlib import Path

from server.ledger.export import WITNESSED
from shared.errors import LedgerError, UsageError
from shared.files import write_durably
from shared.identity import Identity
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.events import Federation
from shared.ledger.log import COORDINATOR, SignedEvent
from shared.ledger.store import LedgerStore
from shared.ledger.view import founding

DELTA = 1e-5  # of a federation for which nobody chose another


class Home:
    """The folder of one federation at its coordinator."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def ledger_file(self) -> Path:
        """The ledger."""
        return self.path / "ledger.sqlite"

    @property
    def key_file(self) -> Path:
        """The coordinator's private key."""
        return self.path / "coordinator.key"

    @property
    def identity(self) -> Identity:
        """The coordinator's signing key.

        Raises:
            UsageError: there is none, and one is not made anew while a ledger rests on the old one.
        """
        if not self.key_file.exists():
            raise UsageError(f"{self.key_file}: missing; restore it from a copy: the federation is signed with it")
        return Identity.at(self.key_file, COORDINATOR)

    @property
    def exists(self) -> bool:
        """Whether the federation was founded; a key or a ledger alone is a damaged one, not a new one."""
        return self.ledger_file.exists() or self.key_file.exists()

    def agree(self, delta: float | None, overlap: int | None) -> tuple[float, int]:
        """Return the δ and overlap of the federation, or those it would be founded with; nothing is written.

        Raises:
            UsageError: it was founded with other terms.
            LedgerError: the ledger is damaged, or missing while the key is there.
        """
        if not self.exists:
            return delta or DELTA, overlap or 1
        terms = self.terms()
        if delta not in (None, terms.delta) or overlap not in (None, terms.overlap):
            raise UsageError(
                f"{self.path}: this federation was founded with delta={terms.delta:g} and "
                f"overlap={terms.overlap}, so that runs add up; ask for these, or name another --federation DIR"
            )
        return terms.delta, terms.overlap

    def found(self, delta: float, overlap: int) -> None:
        """Make key and ledger with these terms, unless the federation is there."""
        if not self.exists:
            identity = Identity.at(self.key_file, COORDINATOR)
            terms = Federation(public_key=identity.public_key, delta=delta, overlap=overlap)
            ledger = LedgerStore(self.ledger_file, create=True)
            ledger.append(SignedEvent.by(identity, terms))
            ledger.close()

    def terms(self) -> Federation:
        """Return what the ledger's first entry says.

        Raises:
            LedgerError: the ledger is missing, damaged, or of another key.
        """
        ledger = self.open_ledger()
        ledger.close()
        first = founding(ledger.events, str(self.ledger_file))
        if first.public_key != self.identity.public_key:
            raise LedgerError(f"{self.ledger_file}: not the ledger of {self.key_file}; restore both from one copy")
        return first

    def open_ledger(self) -> LedgerStore:
        """Open the ledger (see `LedgerStore`)."""
        return LedgerStore(self.ledger_file, create=False)

    def witnessed(self) -> Checkpoint | None:
        """Return the last checkpoint that sites cosigned, if there is one.

        Raises:
            LedgerError: it is damaged.
        """
        path = self.path / WITNESSED
        if not path.exists():
            return None
        return parse_checkpoint(path.read_text(encoding="utf-8"), str(path))

    def keep_witnessed(self, checkpoint: Checkpoint) -> None:
        """Keep a cosigned checkpoint."""
        write_durably(self.path / WITNESSED, checkpoint.text.encode())
