"""The centre's certificate authority: its folder, and the centre's own server certificates."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from deploy.coordinator.home import CoordinatorHome
from deploy.issuing import LONG, LOOPBACK_HOSTS, Issuer
from shared.certificates import certificate_at, key_at, needs_renewal, pem, present, subject
from shared.errors import UsageError
from shared.files import write_durably


class Authority:
    """The CA of one federation, in its folder: ca.key, ca.crt, crl.pem."""

    def __init__(self, folder: Path) -> None:
        self._key_file = folder / "ca.key"
        self.certificate_file = folder / "ca.crt"
        self.revocations_file = folder / "crl.pem"

    def found(self, name: str, now: datetime) -> None:
        """Make key, certificate and an empty list of revocations, where they are missing."""
        if not self.certificate_file.exists():
            issuer = Issuer(subject(name), key_at(self._key_file), now + LONG)
            write_durably(self.certificate_file, pem(issuer.ca_certificate(now)).encode())
        if not self.revocations_file.exists():
            self._revoke((), now)

    @cached_property
    def certificate(self) -> x509.Certificate:
        """The CA's certificate.

        Raises:
            UsageError: it is missing or damaged.
        """
        return certificate_at(self.certificate_file)

    @cached_property
    def issuer(self) -> Issuer:
        """Who signs.

        Raises:
            UsageError: key or certificate is missing or damaged.
        """
        if not self._key_file.exists():
            raise UsageError(
                f"{self._key_file}: missing; restore it from a copy: hospitals trust only what it signs"
            )
        own = self.certificate
        return Issuer(own.subject, key_at(self._key_file), own.not_valid_after_utc)

    @property
    def revoked(self) -> tuple[int, ...]:
        """Serial numbers of the certificates that hold no more."""
        return tuple(one.serial_number for one in self._revocations())

    def revoke(self, serials: Sequence[int], now: datetime) -> None:
        """Add certificates to the list of those that hold no more."""
        known = self.revoked
        self._revoke((*known, *(serial for serial in serials if serial not in known)), now)

    def _revoke(self, serials: Sequence[int], now: datetime) -> None:
        listed = self.issuer.revocations(serials, len(serials), now)  # which only grows, as the number has to
        write_durably(self.revocations_file, pem(listed).encode())

    def _revocations(self) -> x509.CertificateRevocationList:
        try:
            return x509.load_pem_x509_crl(self.revocations_file.read_bytes())
        except (FileNotFoundError, ValueError) as err:
            raise UsageError(
                f"{self.revocations_file}: missing or damaged; restore it from a copy: without it, hospitals that "
                "were revoked would come back"
            ) from err


def ensure_server_certificates(home: CoordinatorHome) -> list[Path]:
    """Issue the centre's own certificates where they are missing, past half of their life, or of other hosts.

    Keys stay; what hospitals trust is the CA, so nothing changes for them. Whoever serves one of the files
    returned has to read it again.

    Raises:
        UsageError: the settings or the CA are missing or damaged.
    """
    authority, now, issued = Authority(home.ca), present(), []
    for name, hosts in {"server": home.settings.hosts, "loopback": LOOPBACK_HOSTS}.items():
        path, key = home.tls / f"{name}.crt", key_at(home.tls / f"{name}.key").public_key()
        wanted = authority.issuer.server_certificate(name, key, hosts, now, home.settings.certificate_days)
        if not path.exists() or not _serves(certificate_at(path), wanted, authority.certificate, now):
            write_durably(path, pem(wanted).encode())
            issued.append(path)
    return issued


def _serves(old: x509.Certificate, wanted: x509.Certificate, ca: x509.Certificate, now: datetime) -> bool:
    """Whether a certificate still does for what another would be made for."""
    try:
        old.verify_directly_issued_by(ca)
    except (ValueError, InvalidSignature):
        return False
    same = old.public_key() == wanted.public_key() and _hosts(old) == _hosts(wanted)
    return same and not needs_renewal(old, now)


def _hosts(certificate: x509.Certificate) -> set[x509.GeneralName]:
    return set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
