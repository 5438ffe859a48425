"""The ledger as plain files: `ledger.jsonl`, a line an entry, and `head.json`, the coordinator's signed head.

These two are what an auditor gets; the SQLite file beside them is the coordinator's own.
"""

from pathlib import Path

from pydantic import ValidationError

from shared.canonical import canonical
from shared.errors import LedgerError
from shared.files import write_durably
from shared.identity import Identity
from shared.ledger.signed_head import SignedHead
from shared.ledger.store import LedgerStore

LINES, HEAD = "ledger.jsonl", "head.json"


def export_ledger(store: LedgerStore, folder: Path, coordinator: Identity) -> None:
    """Write `ledger.jsonl` and `head.json` of `store` into `folder`, the head last."""
    write_durably(folder / LINES, jsonl(store.lines))
    head = SignedHead.by(coordinator, store.head)
    write_durably(folder / HEAD, canonical(head.model_dump()) + b"\n")


def jsonl(lines: list[bytes]) -> bytes:
    """Return log lines as one file, each line ended."""
    return b"".join(raw + b"\n" for raw in lines)


def read_lines(folder: Path) -> list[bytes]:
    """Return the lines of `ledger.jsonl` in `folder`, unchecked.

    Raises:
        LedgerError: it is missing, or does not end with a line's end.
    """
    path = folder / LINES
    try:
        data = path.read_bytes()
    except OSError as err:
        raise LedgerError(f"{path}: cannot be read ({err.strerror}); resume the run, which writes it") from err
    if not data.endswith(b"\n"):
        raise LedgerError(f"{path}: the last line is cut off; export the ledger again")
    return data[:-1].split(b"\n")


def read_head(folder: Path) -> SignedHead:
    """Return the head in `folder`, its signature not yet checked.

    Raises:
        LedgerError: it is missing or is not a signed head.
    """
    path = folder / HEAD
    try:
        return SignedHead.model_validate_json(path.read_bytes())
    except OSError as err:
        raise LedgerError(f"{path}: cannot be read ({err.strerror}); resume the run, which writes it") from err
    except ValidationError as err:
        raise LedgerError(f"{path}: not a signed head; export the ledger again") from err
