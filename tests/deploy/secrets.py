"""Private keys, and traces of them in what travels."""

import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key


def private_files(folder: Path) -> dict[str, Path]:
    """Return the files below a folder that hold private keys, by file name."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.name: path for path in files if b"PRIVATE KEY" in path.read_bytes()}


def secrets_in(path: Path) -> list[bytes]:
    """Return the secret number of each private key in a file, as bytes, the most significant first."""
    data = path.read_bytes()
    key = load_ssh_private_key(data, None) if b"OPENSSH" in data else load_pem_private_key(data, None)
    if isinstance(key, Ed25519PrivateKey):
        return [key.private_bytes_raw()]
    assert isinstance(key, EllipticCurvePrivateKey)
    return [key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")]


def traces(data: bytes, secrets: list[bytes]) -> list[bytes]:
    """Return the secrets that stand in `data` as they are, as a number, in hexadecimal or in base64."""
    joined = b"".join(data.replace(b"\\n", b"").split())  # lines of PEM, also inside JSON
    return [secret for secret in secrets if any(form in joined or form in data for form in _forms(secret))]


def _forms(secret: bytes) -> list[bytes]:
    # In base64 a secret looks different at each of three offsets; its first and last characters hold neighbours.
    encoded = [base64.b64encode(bytes(offset) + secret)[4 * (offset > 0) : -4] for offset in range(3)]
    hexadecimal = secret.hex().encode()
    return [secret, hexadecimal, hexadecimal.upper(), str(int.from_bytes(secret)).encode(), *encoded]
