"""A key's fingerprint, as one person reads it to another: what tells a file that was exchanged on its way.

>>> fingerprint(b"willis")
'FD0A C497 CDC1 A17F 9D9A EC6E 2992 85A0'
"""

import hmac

from shared.canonical import digest
from shared.errors import UsageError

_GROUPS = 8  # of four hexadecimal digits: 128 bits, which nobody meets by trying


def fingerprint(data: bytes) -> str:
    """Return the beginning of the SHA-256 of `data`, as a person reads it aloud."""
    shown = digest(data)[: 4 * _GROUPS].upper()
    return " ".join(shown[i : i + 4] for i in range(0, len(shown), 4))


def key_fingerprint(public_key: str) -> str:
    """Return the fingerprint of a public key (hexadecimal)."""
    return fingerprint(bytes.fromhex(public_key))


def check_fingerprint(said: str, data: bytes, whose: str) -> None:
    """Compare what a person was told with the fingerprint of `data`; spaces and case do not matter.

    Raises:
        UsageError: it is another, or no fingerprint; the right one is not told.
    """
    heard = "".join(said.split()).upper()
    if len(heard) != 4 * _GROUPS or set(heard) - set("0123456789ABCDEF"):
        raise UsageError(
            f"a fingerprint is {_GROUPS} groups of four characters 0-9, A-F; have it read to you again"
        )
    if not hmac.compare_digest(heard, fingerprint(data).replace(" ", "")):
        raise UsageError(
            f"this is not the fingerprint of {whose}: the file was changed, or comes from somebody else; have the "
            "fingerprint read again by a person you know, and the file sent again"
        )
