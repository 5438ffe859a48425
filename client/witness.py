"""A hospital as a witness: it keeps each coordinator's last checkpoint, and cosigns only what grew from it."""

import fcntl
import time
from pathlib import Path

from shared.canonical import digest
from shared.errors import ProtocolError
from shared.files import write_durably
from shared.identity import Identity
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.witness import check_growth, read_shown
from shared.messages import WitnessReply, WitnessRequest


class Witness:
    """The checkpoints kept in one folder, a file for each coordinator's key."""

    def __init__(self, folder: Path, identity: Identity, coordinator: str = "") -> None:
        """Witness in `folder`; `coordinator` is the only key whose log is witnessed, "" for any."""
        self._folder = folder
        self._identity = identity
        self._coordinator = coordinator

    def kept(self, coordinator: str) -> Checkpoint | None:
        """Return the last checkpoint cosigned for the coordinator with this key.

        Raises:
            LedgerError: the file is damaged.
        """
        path = self._path(coordinator)
        if not path.exists():
            return None
        return parse_checkpoint(path.read_text(encoding="utf-8"), str(path))

    def answer(self, request: WitnessRequest) -> WitnessReply:
        """Cosign a checkpoint, durably kept first; or say from which size the proof must start.

        Raises:
            LedgerError: the log was rewound or forked.
            ProtocolError: the checkpoint is not signed by the coordinator it names, or that one is not the one
                this site joined.
        """
        if self._coordinator and request.coordinator != self._coordinator:
            raise ProtocolError(f"this site joined another coordinator than {request.coordinator[:12]}")
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("ab") as lock:  # two checkpoints at once could both follow the kept one
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self._answer(request)

    def _answer(self, request: WitnessRequest) -> WitnessReply:
        shown = read_shown(request.checkpoint, request.coordinator)
        kept = self.kept(request.coordinator)
        size = kept.head.size if kept else 0
        if request.old_size != size and shown.head.size >= size:
            return WitnessReply(size=size, name="", signature="")
        check_growth(kept, shown, [bytes.fromhex(h) for h in request.proof])
        write_durably(self._path(request.coordinator), shown.text.encode())
        name, signature = shown.cosign(self._identity, int(time.time()))
        return WitnessReply(size=shown.head.size, name=name, signature=signature.hex())

    def _path(self, coordinator: str) -> Path:
        return self._folder / f"{digest(bytes.fromhex(coordinator))[:16]}.checkpoint"
