"""release.tlog-proof: that the federation's log holds the release of exactly this data set.

Made after the release is recorded, so it lies outside SHA256SUMS; its bytes follow from the log and the key.
"""

from pathlib import Path

from server.dataset.files.seal import PROOF, SUMS
from shared.canonical import digest
from shared.errors import LedgerError
from shared.files import write_durably
from shared.identity import Identity
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.events import Release
from shared.ledger.log import SignedEvent
from shared.ledger.tlog_proof import TlogProof
from shared.ledger.view import head_of, lines_of


def write_proof(folder: Path, events: list[SignedEvent], coordinator: Identity) -> None:
    """Write the proof into the sealed data set `folder`; `events` are the whole log.

    Raises:
        LedgerError: the log has no release of this data set.
    """
    manifest = digest((folder / SUMS).read_bytes())
    released = [isinstance(s.event, Release) and s.event.manifest == manifest for s in events]
    if not any(released):
        raise LedgerError(f"{folder}: the ledger has no release of this data set; record it first")
    index = released.index(True)
    lines = lines_of(events[: index + 1])  # and no further: made again later, the proof has the same bytes
    proof = TlogProof.of(lines, index, Checkpoint.by(coordinator, head_of(lines)))
    write_durably(folder / PROOF, proof.text.encode())
