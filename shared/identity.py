"""Who signs: Ed25519 keys (RFC 8032) as files that only their owner can read."""

from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from shared.errors import UsageError
from shared.files import write_durably


class Identity:
    """A named key pair. The private half is kept in OpenSSH format, so `ssh-keygen -Y` can use it too."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.name = name
        self._key = key

    @classmethod
    def at(cls, path: Path, name: str) -> "Identity":
        """Load the key at `path`, or make it there (mode 600) on first use.

        Raises:
            UsageError: the file is not an unencrypted Ed25519 key.
        """
        if not path.exists():
            _make(path)
        try:
            loaded = load_ssh_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as err:  # TypeError: it asks for a password
            raise UsageError(f"{path}: not an unencrypted OpenSSH private key; restore it from a backup") from err
        if not isinstance(loaded, Ed25519PrivateKey):
            raise UsageError(f"{path}: not an Ed25519 key; restore it from a backup")
        return cls(name, loaded)

    @property
    def public_key(self) -> str:
        """The 32-byte public key in hexadecimal."""
        return self._key.public_key().public_bytes_raw().hex()

    def sign(self, purpose: str, message: bytes) -> str:
        """Return the signature of `message` for one `purpose`, in hexadecimal."""
        return self.sign_framed(_domain(purpose, message)).hex()

    def sign_framed(self, message: bytes) -> bytes:
        """Return the signature of bytes that name their own purpose, as the SSH signature format does."""
        return self._key.sign(message)


def verify(public_key: str, purpose: str, message: bytes, signature: str) -> bool:
    """Return whether `signature` of `message` for `purpose` was made with the key behind `public_key`."""
    try:
        value = bytes.fromhex(signature)
    except ValueError:
        return False
    return verify_framed(public_key, _domain(purpose, message), value)


def verify_framed(public_key: str, message: bytes, signature: bytes) -> bool:
    """Return whether `signature` is of exactly these bytes, which name their own purpose."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(signature, message)
    except (ValueError, InvalidSignature):
        return False
    return True


def _make(path: Path) -> None:
    """Put a new key at `path` in one step: a crash leaves no half of one."""
    secret = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    write_durably(path, secret, mode=0o600)


def _domain(purpose: str, message: bytes) -> bytes:
    """Separate purposes, so that a signed update can never pass for a signed reservation."""
    return b"willis/v1/" + purpose.encode() + b"\n" + message
