"""Whoever signs certificates: the centre's CA, or a machine for its own loopback address (RFC 5280)."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.x509.oid import ExtendedKeyUsageOID

from shared.certificates import subject

EARLY = timedelta(minutes=10)  # how long before its making a certificate is valid, for clocks that are behind
LOOPBACK_HOSTS = ("localhost", "127.0.0.1")
LONG = timedelta(days=3650)  # life of a CA, and of what is trusted on its own machine only


@dataclass(frozen=True)
class Issuer:
    """A name and the key that signs for it.

    Attributes:
        name: as it stands in certificates.
        key: private.
        until: when everything it signs ends at the latest.
    """

    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    until: datetime

    def server_certificate(
        self, name: str, key: ec.EllipticCurvePublicKey, hosts: Sequence[str], now: datetime, days: int
    ) -> x509.Certificate:
        """Return a certificate for a server of that key at these DNS names and IP addresses."""
        begun = self._begun(subject(name), key, now, timedelta(days=days))
        begun = begun.add_extension(host_names(hosts), critical=False)
        return self._end_entity(begun, ExtendedKeyUsageOID.SERVER_AUTH)

    def client_certificate(
        self, name: str, key: ec.EllipticCurvePublicKey, now: datetime, days: int
    ) -> x509.Certificate:
        """Return a certificate for a client of that name and key."""
        begun = self._begun(subject(name), key, now, timedelta(days=days))
        begun = begun.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return self._end_entity(begun, ExtendedKeyUsageOID.CLIENT_AUTH)

    def ca_certificate(self, now: datetime) -> x509.Certificate:
        """Return the issuer's own certificate, by which what it signed is checked; it vouches for no other CA."""
        begun = self._begun(self.name, self.key.public_key(), now, LONG)
        begun = begun.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return begun.add_extension(_key_usage(of_a_ca=True), critical=True).sign(self.key, SHA384())

    def revocations(self, serials: Sequence[int], number: int, now: datetime) -> x509.CertificateRevocationList:
        """Return the signed list of certificates that hold no more, the `number`th; it lasts as long as the CA.

        Whoever checks it reads it from the machine it was made on: a short life would only be one more thing to
        run out.
        """
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.name)
        builder = builder.last_update(now - EARLY).next_update(self.until)
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now).build()
            builder = builder.add_revoked_certificate(revoked)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(identifier, critical=False)
        return builder.add_extension(x509.CRLNumber(number), critical=False).sign(self.key, SHA384())

    def _begun(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .issuer_name(self.name)
            .subject_name(name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - EARLY)
            .not_valid_after(min(now + life, self.until))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    def _end_entity(self, begun: x509.CertificateBuilder, usage: x509.ObjectIdentifier) -> x509.Certificate:
        """Add what makes it no CA and good for one usage, and sign it."""
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return (
            begun.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(of_a_ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(identifier, critical=False)
            .sign(self.key, SHA384())
        )


def local_certificate(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    """Return a certificate for this machine's loopback address, signed by itself."""
    own = Issuer(subject("localhost"), key, now + LONG)
    return own.server_certificate("localhost", key.public_key(), LOOPBACK_HOSTS, now, LONG.days)


def host_names(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    """Return the extension that names the hosts a certificate holds for."""
    return x509.SubjectAlternativeName([_host_name(host) for host in hosts])


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage(*, of_a_ca: bool) -> x509.KeyUsage:
    """Return what a key may do: sign certificates and revocations, or handshakes; never both."""
    return x509.KeyUsage(
        digital_signature=not of_a_ca,
        key_cert_sign=of_a_ca,
        crl_sign=of_a_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
