"""A log's signed checkpoint, in the text formats of C2SP: tlog-checkpoint, signed-note and tlog-cosignature.

    willis-ledger/<first 16 hexadecimal digits of the coordinator's key>
    <number of entries>
    <root of the Merkle tree, base64>

    — <name of a signer> <base64 of 4 bytes of key id, then the signature>

The first signature is the coordinator's, by the key name that is the log's origin. Witnesses (hospitals) add
cosignatures: they have seen this state of the log grow out of the last one they kept. The formats have other
implementations, so that nobody needs this one in order to check.
"""

import base64
import binascii
import hashlib
from dataclasses import dataclass, replace
from urllib.parse import quote

from shared.errors import LedgerError
from shared.identity import Identity, verify_framed
from shared.ledger.log import Head

_ED25519, _COSIGNATURE = b"\x01", b"\x04"  # signature types of C2SP signed-note
_COSIGNED = "cosignature/v1\ntime {time}\n{body}"


def origin_of(public_key: str) -> str:
    """Return the name of the log that the owner of `public_key` (hexadecimal) keeps."""
    return f"willis-ledger/{public_key[:16]}"


def witness_name(site: str) -> str:
    """Return the name a site cosigns by; key names of signed notes hold no spaces and no plus signs."""
    return f"willis-site/{quote(site, safe='')}"


@dataclass(frozen=True)
class Checkpoint:
    """A head of a log, and (name, key id and signature) of those who signed it."""

    origin: str
    head: Head
    signatures: tuple[tuple[str, bytes], ...] = ()

    @property
    def body(self) -> str:
        """The text that is signed."""
        root = base64.b64encode(bytes.fromhex(self.head.root)).decode()
        return f"{self.origin}\n{self.head.size}\n{root}\n"

    @property
    def text(self) -> str:
        """The whole signed note."""
        lines = [f"— {name} {base64.b64encode(value).decode()}\n" for name, value in self.signatures]
        return f"{self.body}\n{''.join(lines)}"

    @classmethod
    def by(cls, coordinator: Identity, head: Head) -> "Checkpoint":
        """Return `head` signed by the coordinator."""
        bare = cls(origin_of(coordinator.public_key), head)
        value = coordinator.sign_framed(bare.body.encode())
        return replace(
            bare, signatures=((bare.origin, key_id(bare.origin, coordinator.public_key, _ED25519) + value),)
        )

    def is_by(self, public_key: str) -> bool:
        """Whether the coordinator with this key signed it, for the log that is its own."""
        mark = key_id(self.origin, public_key, _ED25519)
        own = [v for name, v in self.signatures if name == self.origin and v[:4] == mark]
        genuine = [verify_framed(public_key, self.body.encode(), v[4:]) for v in own]
        return self.origin == origin_of(public_key) and any(genuine)

    def cosigned_by(self, site: str, public_key: str) -> bool:
        """Whether a site with this key cosigned it."""
        name = witness_name(site)
        mark = key_id(name, public_key, _COSIGNATURE)
        return any(
            verify_framed(public_key, self._cosigned(int.from_bytes(value[4:12])), value[12:])
            for signer, value in self.signatures
            if signer == name and value[:4] == mark
        )

    def cosign(self, witness: Identity, time: int) -> tuple[str, bytes]:
        """Return a witness's cosignature at `time` (seconds since 1970), to be added to `signatures`."""
        name = witness_name(witness.name)
        mark = key_id(name, witness.public_key, _COSIGNATURE)
        return name, mark + time.to_bytes(8) + witness.sign_framed(self._cosigned(time))

    def with_signatures(self, *more: tuple[str, bytes]) -> "Checkpoint":
        """Return the same checkpoint with further signatures."""
        return replace(self, signatures=(*self.signatures, *more))

    def _cosigned(self, time: int) -> bytes:
        return _COSIGNED.format(time=time, body=self.body).encode()


def key_id(name: str, public_key: str, kind: bytes) -> bytes:
    """Return the 4 bytes by which a note tells keys of one name apart."""
    return hashlib.sha256(name.encode() + b"\n" + kind + bytes.fromhex(public_key)).digest()[:4]


def parse_checkpoint(text: str, where: str) -> Checkpoint:
    """Return the checkpoint in `text`; no signature is verified here.

    Raises:
        LedgerError: naming `where`, if it is not in the one form a checkpoint is written in.
    """
    try:
        body, _, signed = text.partition("\n\n")
        origin, size, root = body.split("\n")
        signatures = [_signature(row) for row in signed.removesuffix("\n").split("\n")]
        found = Checkpoint(origin, Head(int(size), base64.b64decode(root).hex()), tuple(signatures))
        if found.text != text or len(found.head.root) != 64:
            raise ValueError("another way of writing the same")
    except (ValueError, binascii.Error) as err:
        raise LedgerError(f"{where}: not a signed checkpoint; get it again") from err
    return found


def _signature(row: str) -> tuple[str, bytes]:
    dash, name, value = row.split(" ")
    if dash != "—":
        raise ValueError("not a signature line")
    return name, base64.b64decode(value, validate=True)
