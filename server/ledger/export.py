"""The ledger as plain files, as an auditor gets it: entries, the coordinator's checkpoint, the witnesses' one."""

from pathlib import Path

from shared.errors import LedgerError
from shared.files import write_durably
from shared.identity import Identity
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.store import LedgerStore

LINES = "ledger.jsonl"  # one entry a line
CHECKPOINT = "checkpoint"  # of exactly these entries, signed by the coordinator
WITNESSED = "witnessed"  # an earlier or equal checkpoint, cosigned by hospitals


def export_ledger(
    store: LedgerStore, folder: Path, coordinator: Identity, witnessed: Checkpoint | None = None
) -> None:
    """Write the files of `store` into `folder`, the checkpoint last."""
    write_durably(folder / LINES, jsonl(store.lines))
    if witnessed is not None:
        write_durably(folder / WITNESSED, witnessed.text.encode())
    write_durably(folder / CHECKPOINT, Checkpoint.by(coordinator, store.head).text.encode())


def jsonl(lines: list[bytes]) -> bytes:
    """Return log lines as one file, each line ended."""
    return b"".join(raw + b"\n" for raw in lines)


def read_lines(folder: Path) -> list[bytes]:
    """Return the lines of `ledger.jsonl` in `folder`, unchecked.

    Raises:
        LedgerError: it is missing, or does not end with a line's end.
    """
    data = _read(folder / LINES)
    if not data.endswith(b"\n"):
        raise LedgerError(f"{folder / LINES}: the last line is cut off; export the ledger again")
    return data[:-1].split(b"\n")


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint in a file, its signatures not yet checked.

    Raises:
        LedgerError: it is missing or is not a checkpoint.
    """
    try:
        return parse_checkpoint(_read(path).decode(), str(path))
    except UnicodeDecodeError as err:
        raise LedgerError(f"{path}: not a signed checkpoint; get it again") from err


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise LedgerError(f"{path}: cannot be read ({err.strerror}); resume the run, which writes it") from err
