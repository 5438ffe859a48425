"""An authority for tests, and certificates good and bad."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
_DAY = timedelta(days=1)


@dataclass
class Authority:
    """A certificate authority in a folder: ca.crt, crl.pem."""

    folder: Path
    name: str = "test authority"
    revoked: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = (
            self._builder(self.name, self._key, _DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        self._certificate = made.sign(self._key, SHA256())
        self.crt.write_bytes(self._certificate.public_bytes(Encoding.PEM))
        self.write_crl()

    @property
    def crt(self) -> Path:
        """The authority's own certificate."""
        return self.folder / "ca.crt"

    @property
    def crl(self) -> Path:
        """The revocation list."""
        return self.folder / "crl.pem"

    def issue(
        self,
        folder: Path,
        stem: str,
        purpose: x509.ObjectIdentifier = CLIENT,
        *,
        valid: timedelta = _DAY,
        begins: timedelta = -2 * _DAY,
        names: tuple[str, ...] = ("localhost", "127.0.0.1"),
    ) -> int:
        """Write `stem`.key and `stem`.crt; return the serial number. Times are from now; negative are past."""
        folder.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            self._builder(stem, key, valid, begins)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
        )
        certificate = made.sign(self._key, SHA256())
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{stem}.key").write_bytes(secret)
        (folder / f"{stem}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
        return certificate.serial_number

    def revoke(self, serial: int) -> None:
        """Put a certificate on the list."""
        self.revoked.append(serial)
        self.write_crl()

    def write_crl(self) -> None:
        """Write the list anew."""
        now = datetime.now(UTC)
        made = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._certificate.subject)
            .last_update(now - _DAY)
            .next_update(now + _DAY)
        )
        for serial in self.revoked:
            gone = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - _DAY)
            made = made.add_revoked_certificate(gone.build())
        self.crl.write_bytes(made.sign(self._key, SHA256()).public_bytes(Encoding.PEM))

    def _builder(
        self, name: str, key: ec.EllipticCurvePrivateKey, valid: timedelta, begins: timedelta = -2 * _DAY
    ) -> x509.CertificateBuilder:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)])
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + valid)
        )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
