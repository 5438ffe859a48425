"""What a witness decides, as pure functions: who signed a checkpoint, and whether it grew out of the one kept."""

from collections.abc import Sequence

from shared.errors import LedgerError, ProtocolError
from shared.ledger.checkpoint import Checkpoint, origin_of, parse_checkpoint
from shared.ledger.log import NOTHING
from shared.ledger.merkle import verify_consistency


def read_shown(text: str, public_key: str) -> Checkpoint:
    """Return the checkpoint in `text`, which the owner of `public_key` (hexadecimal) has to have signed.

    Raises:
        LedgerError: it is no checkpoint.
        ProtocolError: another signed it.
    """
    shown = parse_checkpoint(text, "the checkpoint shown")
    if not shown.is_by(public_key):
        raise ProtocolError(f"the checkpoint is not signed by the keeper of {origin_of(public_key)}")
    return shown


def check_growth(kept: Checkpoint | None, shown: Checkpoint, proof: Sequence[bytes]) -> None:
    """Let `shown` follow `kept` (None: nothing was seen before), or refuse.

    Raises:
        LedgerError: the log was rewound or forked, or the proof does not show that it was not.
    """
    before = kept.head if kept else NOTHING
    if kept is not None and kept.origin != shown.origin:
        raise LedgerError(f"the ledger {shown.origin} is not {kept.origin}, which was witnessed before")
    if shown.head.size < before.size:
        raise LedgerError(f"the ledger has {shown.head.size} entries and had {before.size}: it was rewound")
    roots = (bytes.fromhex(before.root), bytes.fromhex(shown.head.root))
    if not verify_consistency(before.size, shown.head.size, *roots, proof):
        raise LedgerError(
            f"the ledger does not grow from the {before.size} entries witnessed before: it was forked"
        )
