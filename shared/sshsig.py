"""OpenSSH signatures of files, so that a data set can be checked with tools every Unix machine has.

The format is OpenSSH's PROTOCOL.sshsig: what is signed is never the file alone, but a preamble, a namespace
and the file's SHA-512; the preamble keeps these signatures apart from all others made with the same key.
"""

import base64
import binascii
import hashlib
import textwrap

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.identity import Identity

_MAGIC, _KIND, _HASH = b"SSHSIG", b"ssh-ed25519", b"sha512"
_VERSION = (1).to_bytes(4, "big")
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


def ssh_sign(identity: Identity, namespace: str, message: bytes) -> str:
    """Return what `ssh-keygen -Y sign -n NAMESPACE` writes, over `message`."""
    # The owner's raw key, because `Identity.sign` adds Willis' own preamble and OpenSSH has its own.
    signature = identity.sign_framed(_signed(namespace, message))
    parts = (
        _public_blob(identity.public_key),
        namespace.encode(),
        b"",
        _HASH,
        _field(_KIND) + _field(signature),
    )
    blob = _MAGIC + _VERSION + b"".join(_field(part) for part in parts)
    return "\n".join([_BEGIN, *textwrap.wrap(base64.b64encode(blob).decode(), 70), _END, ""])


def ssh_signer(armoured: str, namespace: str, message: bytes) -> str | None:
    """Return the public key (hexadecimal) that signed `message`, or None when nobody rightly did."""
    try:
        body = armoured.split(_BEGIN, 1)[1].split(_END, 1)[0]
        blob = base64.b64decode("".join(body.split()), validate=True)
        if not blob.startswith(_MAGIC + _VERSION):
            return None
        key, space, reserved, hashed, signature = _fields(blob[len(_MAGIC + _VERSION) :], 5)
        (kind, raw), (signed_kind, raw_signature) = _fields(key, 2), _fields(signature, 2)
        if (kind, signed_kind, space, reserved, hashed) != (_KIND, _KIND, namespace.encode(), b"", _HASH):
            return None
        Ed25519PublicKey.from_public_bytes(raw).verify(raw_signature, _signed(namespace, message))
    except (IndexError, ValueError, binascii.Error, InvalidSignature):
        return None
    return raw.hex()


def allowed_signer(name: str, public_key: str, namespace: str) -> str:
    """Return the line of an `allowed_signers` file that lets `public_key` sign in `namespace` as `name`."""
    blob = base64.b64encode(_public_blob(public_key)).decode()
    return f'{principal(name)} namespaces="{namespace}" {_KIND.decode()} {blob}\n'


def principal(name: str) -> str:
    """Return `name` without what an `allowed_signers` file gives a meaning to."""
    return "".join(c if c.isalnum() or c in "-_.@" else "-" for c in name) or "coordinator"


def _signed(namespace: str, message: bytes) -> bytes:
    parts = (namespace.encode(), b"", _HASH, hashlib.sha512(message).digest())
    return _MAGIC + b"".join(_field(part) for part in parts)


def _public_blob(public_key: str) -> bytes:
    return _field(_KIND) + _field(bytes.fromhex(public_key))


def _field(data: bytes) -> bytes:
    """Return an SSH string (RFC 4251): four bytes of length, then the bytes."""
    return len(data).to_bytes(4, "big") + data


def _fields(data: bytes, count: int) -> list[bytes]:
    """Return exactly `count` SSH strings that make up `data`.

    Raises:
        ValueError: they do not.
    """
    found = []
    for _ in range(count):
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            raise ValueError("an SSH string is cut off")
        found.append(data[4 : 4 + size])
        data = data[4 + size :]
    if data:
        raise ValueError("there is more than the expected SSH strings")
    return found
