"""TLS as both ends speak it: 1.2 or later, and one authority; files of it are noticed when they change."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from shared.errors import UsageError


@dataclass(frozen=True)
class ServerFiles:
    """What a listener shows of itself, and whom it lets in: anybody, or only the holders of certificates."""

    certificate: Path
    key: Path
    clients: Path | None = None  # the authority of client certificates
    crl: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """The files that are there to be re-read."""
        return [path for path in (self.certificate, self.key, self.clients, self.crl) if path]

    def context(self) -> ssl.SSLContext:
        """Return a context for new connections.

        A resumed session skips the checks of the certificate behind it, so none can be resumed.

        Raises:
            UsageError: a file is missing, damaged, or does not belong to the others.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
        context.num_tickets = 0
        _load_pair(context, self.certificate, self.key)
        if self.clients:
            _load_authority(context, self.clients)
            context.verify_mode = ssl.CERT_REQUIRED
        if self.crl:
            _load_authority(context, self.crl)
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        return context

    def revoked(self) -> frozenset[int]:
        """Return the serial numbers that the revocation list names.

        Raises:
            UsageError: the list is missing or damaged.
        """
        if not self.crl:
            return frozenset()
        try:
            return frozenset(r.serial_number for r in x509.load_pem_x509_crl(self.crl.read_bytes()))
        except (OSError, ValueError) as err:
            raise UsageError(f"{self.crl}: not a readable revocation list; restore it from a backup") from err


@dataclass(frozen=True)
class ClientFiles:
    """Whom a client believes, and the certificate it shows where it has one."""

    authority: Path
    certificate: Path | None = None
    key: Path | None = None

    @property
    def paths(self) -> list[Path]:
        """The files that are there to be re-read."""
        return [path for path in (self.authority, self.certificate, self.key) if path]

    def context(self) -> ssl.SSLContext:
        """Return a context that believes this one authority and checks the server's name.

        Raises:
            UsageError: a file is missing, damaged, or does not belong to the others.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        _load_authority(context, self.authority)
        if self.certificate and self.key:
            _load_pair(context, self.certificate, self.key)
        return context


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as err:  # ssl.SSLError is an OSError
        msg = "not a certificate and the key that belongs to it"
        raise UsageError(f"{certificate}, {key.name}: {msg} ({err}); make or renew them") from err


def _load_authority(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ValueError) as err:
        raise UsageError(f"{path}: not readable as PEM ({err}); restore it") from err
