"""X.509 keys and certificates, as hospital and centre both need them (RFC 5280).

Keys are ECDSA P-384, which nginx, OpenSSL and Python all take. A private key is made where it is used and stays
there; what travels is a signing request (CSR), which proves that its sender has the key.
"""

from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from shared.canonical import digest
from shared.errors import UsageError
from shared.files import write_durably

ORGANISATION = "Willis federation"


def key_at(path: Path) -> ec.EllipticCurvePrivateKey:
    """Load the key at `path` (PEM), or make it there (mode 600) on first use.

    Raises:
        UsageError: the file is not an unencrypted key of an elliptic curve.
    """
    if not path.exists():
        made = ec.generate_private_key(ec.SECP384R1())
        secret = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_durably(path, secret, mode=0o600)
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as err:  # TypeError: it asks for a password
        raise UsageError(f"{path}: not an unencrypted private key in PEM; restore it from a backup") from err
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageError(f"{path}: not a key of an elliptic curve; restore it from a backup")
    return key


def pem(made: x509.Certificate | x509.CertificateSigningRequest | x509.CertificateRevocationList) -> str:
    """Return a certificate, a request for one, or a list of revoked ones as text."""
    return made.public_bytes(Encoding.PEM).decode()


def certificate_at(path: Path) -> x509.Certificate:
    """Read a certificate's file (PEM).

    Raises:
        UsageError: it is missing or damaged.
    """
    try:
        return certificate_in(path.read_text(encoding="ascii", errors="replace"), path)
    except FileNotFoundError as err:
        raise UsageError(f"{path}: missing; restore it, or have it issued again") from err


def certificate_in(text: str, where: object) -> x509.Certificate:
    """Read a certificate (PEM); `where` names it in the error.

    Raises:
        UsageError: it is not one.
    """
    try:
        return x509.load_pem_x509_certificate(text.encode())
    except (ValueError, x509.InvalidVersion) as err:
        raise UsageError(f"{where}: not a certificate in PEM; restore it, or have it issued again") from err


def key_digest(key: CertificatePublicKeyTypes) -> str:
    """Return the SHA-256 (hexadecimal) of a public key (SubjectPublicKeyInfo, DER)."""
    return digest(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def signing_request(key: ec.EllipticCurvePrivateKey, name: str) -> x509.CertificateSigningRequest:
    """Return a request for a certificate of `key`; the same key and name give the same bytes (RFC 6979)."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject(name))
    return builder.sign(key, SHA384(), ecdsa_deterministic=True)


def requested_key(text: str) -> ec.EllipticCurvePublicKey:
    """Return the key that a request for a certificate (PEM) is for; nothing else it asks for counts.

    Raises:
        ValueError: it is not one, its key is not of an elliptic curve, or it is not signed with that key.
    """
    try:
        request = x509.load_pem_x509_csr(text.encode())
        key = request.public_key()
        if isinstance(key, ec.EllipticCurvePublicKey) and request.is_signature_valid:
            return key
    except (UnsupportedAlgorithm, x509.InvalidVersion) as err:
        raise ValueError(f"the certificate request is of an unknown kind ({err})") from err
    raise ValueError("the certificate request is not signed with the key it is for")


def subject(name: str) -> x509.Name:
    """Return the distinguished name of somebody in a federation."""
    parts = ((NameOID.ORGANIZATION_NAME, ORGANISATION), (NameOID.COMMON_NAME, name))
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts])


def needs_renewal(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether a certificate is past half of its life."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now > begin + (end - begin) / 2


def check_client(certificate: x509.Certificate, ca: x509.Certificate, now: datetime) -> None:
    """Check that a certificate lets its owner in as a client of those who trust `ca`.

    Raises:
        UsageError: another signed it, it is for something else, or `now` is not within its life.
    """
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= now <= end:
        raise UsageError(
            f"the certificate is valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC, and the clock "
            f"here says {now:%Y-%m-%d %H:%M}; set the clock, or ask for another certificate"
        )
    verifier = PolicyBuilder().store(Store([ca])).time(now).build_client_verifier()
    try:
        verifier.verify(certificate, [])
    except VerificationError as err:
        raise UsageError(
            f"the certificate does not come from the CA beside it, or is not for clients ({err}); ask for another"
        ) from err


def present() -> datetime:
    """Return the present time, in UTC and whole seconds, as certificates have it."""
    return datetime.now(UTC).replace(microsecond=0)
