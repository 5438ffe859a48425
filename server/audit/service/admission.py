"""Who may ask: the holder of a client certificate that holds now and was not revoked. Known by its key.

The handshake has checked who signed the certificate and for what. What is checked here may change while a
connection lasts: time passes, and certificates are revoked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.canonical import digest
from shared.errors import UsageError
from shared.files import Stamp, stamp

Connection = Mapping[str, Sequence[bytes]]  # what gRPC tells of one, its `auth_context`
Revoked = frozenset[tuple[bytes, int]]  # (issuer as DER, serial number)


class NotAdmitted(Exception):
    """A client whose certificate does not let it in; says why."""


@dataclass(frozen=True)
class Client:
    """Somebody who may ask: the name in the certificate, and the digest of its key."""

    name: str
    key: str


class Admission:
    """Decides by the certificate of a connection, and by lists of revoked ones that may grow."""

    def __init__(self, revocations: Sequence[Path] = ()) -> None:
        """Use these revocation lists (PEM).

        Raises:
            UsageError: one is missing or damaged.
        """
        self._paths = revocations
        self._seen: Stamp = stamp(revocations)
        self._revoked = _read(revocations)

    def client(self, connection: Connection, now: datetime | None = None) -> Client:
        """Return who is at the other end of a connection.

        Raises:
            NotAdmitted: its certificate has expired or was revoked, or it has none.
            UsageError: a list of revocations was damaged meanwhile.
        """
        if list(connection.get("ssl_tls_version", ())) != [b"TLSv1.3"]:
            raise NotAdmitted("TLS 1.3 is needed")
        shown = list(connection.get("x509_pem_cert", ()))
        if len(shown) != 1:
            raise NotAdmitted("a client certificate is needed")
        known = _known(shown[0])
        moment = now or datetime.now(UTC)
        if not known.begin <= moment <= known.end:
            raise NotAdmitted("the certificate has expired, or is not valid yet; ask the centre for another")
        if (known.issuer, known.serial) in self._current():
            raise NotAdmitted("the certificate was revoked; ask the centre why")
        return known.client

    def _current(self) -> Revoked:
        if (now := stamp(self._paths)) != self._seen:
            self._revoked, self._seen = _read(self._paths), now
        return self._revoked


@dataclass(frozen=True)
class _Known:
    client: Client
    issuer: bytes
    serial: int
    begin: datetime
    end: datetime


@lru_cache(maxsize=256)
def _known(pem: bytes) -> _Known:
    certificate = x509.load_pem_x509_certificate(pem)
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return _Known(
        client=Client(certificate.subject.rfc4514_string(), digest(key)),
        issuer=certificate.issuer.public_bytes(),
        serial=certificate.serial_number,
        begin=certificate.not_valid_before_utc,
        end=certificate.not_valid_after_utc,
    )


def _read(paths: Sequence[Path]) -> Revoked:
    found: set[tuple[bytes, int]] = set()
    for path in paths:
        try:
            listed = x509.load_pem_x509_crl(path.read_bytes())
        except (OSError, ValueError) as err:
            raise UsageError(f"{path}: not a readable revocation list; restore it from a backup") from err
        found |= {(listed.issuer.public_bytes(), one.serial_number) for one in listed}
    return frozenset(found)
