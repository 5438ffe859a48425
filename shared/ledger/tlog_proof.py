"""A proof that a log holds an entry, checked offline with the log's key alone: the text format C2SP tlog-proof.

    c2sp.org/tlog-proof@v1
    extra <the entry, base64>
    index <its place in the log, from 0>
    <one hash of the Merkle proof a line, base64>

    <a signed checkpoint>

The format leaves it to each log what `extra` holds; here it is the entry itself, so that nothing else is needed.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import LedgerError
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.merkle import inclusion_proof, leaf_hash, verify_inclusion

_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True)
class TlogProof:
    """An entry, its place, and the way from it to the root that a checkpoint fixes."""

    entry: bytes
    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Checkpoint

    @classmethod
    def of(cls, lines: Sequence[bytes], index: int, checkpoint: Checkpoint) -> "TlogProof":
        """Return the proof that entry `index` is in the log of exactly `lines`, which `checkpoint` is of.

        Raises:
            IndexError: there is no such entry.
        """
        hashes = inclusion_proof([leaf_hash(raw) for raw in lines], index)
        return cls(lines[index], index, tuple(hashes), checkpoint)

    @property
    def leaf(self) -> bytes:
        """The entry as a leaf of the tree, where the way begins."""
        return leaf_hash(self.entry)

    @property
    def text(self) -> str:
        """The whole file."""
        hashes = "".join(f"{_base64(value)}\n" for value in self.hashes)
        return f"{_HEADER}\nextra {_base64(self.entry)}\nindex {self.index}\n{hashes}\n{self.checkpoint.text}"

    def holds(self, public_key: str) -> bool:
        """Whether the owner of `public_key` (hexadecimal) signed a log with this entry at this place."""
        head = self.checkpoint.head
        root = bytes.fromhex(head.root)
        included = verify_inclusion(self.leaf, self.index, head.size, self.hashes, root)
        return included and self.checkpoint.is_by(public_key)


def parse_tlog_proof(text: str, where: str) -> TlogProof:
    """Return the proof in `text`; nothing is verified here.

    Raises:
        LedgerError: naming `where`, if it is not in the one form a proof of Willis is written in.
    """
    above, _, below = text.partition("\n\n")
    checkpoint = parse_checkpoint(below, where)
    try:
        _, extra, index, *hashes = above.split("\n")
        entry = base64.b64decode(extra.removeprefix("extra "), validate=True)
        path = tuple(base64.b64decode(value, validate=True) for value in hashes)
        found = TlogProof(entry, int(index.removeprefix("index ")), path, checkpoint)
        if found.text != text or found.index < 0 or any(len(value) != 32 for value in path):
            raise ValueError("another way of writing the same")
    except (ValueError, binascii.Error) as err:
        raise LedgerError(f"{where}: not a proof from a log (C2SP tlog-proof); get it again") from err
    return found


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
