"""Certificates: whom a server that checks them lets in, and whom a client believes, by OpenSSL itself."""

import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from deploy.issuing import EARLY, LONG, Issuer, local_certificate
from shared.certificates import (
    certificate_at,
    certificate_in,
    check_client,
    key_at,
    needs_renewal,
    pem,
    present,
    requested_key,
    signing_request,
    subject,
)
from shared.errors import UsageError
from tests.deploy.handshakes import client_context, files_of, handshake, server_context

NOW = present()
POINT = (Encoding.X962, PublicFormat.UncompressedPoint)
DAYS = 90
CA = Issuer(subject("stroke-net"), ec.generate_private_key(ec.SECP384R1()), NOW + LONG)
IMPOSTOR = replace(CA, key=ec.generate_private_key(ec.SECP384R1()))  # calls itself the same
FRONT, SITE = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))


def client(issuer: Issuer = CA, days_ago: float = 0) -> x509.Certificate:
    return issuer.client_certificate("hospital-a", SITE.public_key(), NOW - timedelta(days=days_ago), DAYS)


def server(issuer: Issuer = CA, days_ago: float = 0, hosts: tuple[str, ...] = ("localhost",)) -> x509.Certificate:
    return issuer.server_certificate("server", FRONT.public_key(), hosts, NOW - timedelta(days=days_ago), DAYS)


CA_CERTIFICATE = CA.ca_certificate(NOW)
GOOD, REVOKED = client(), client()
BY_A_HOSPITAL = Issuer(GOOD.subject, SITE, NOW + LONG).client_certificate("x", SITE.public_key(), NOW, DAYS)

CLIENTS = {  # who comes -> the chain and key shown, and why the server refuses
    "good": ((GOOD,), SITE, ""),
    "expired": ((client(days_ago=DAYS + 1),), SITE, "certificate has expired"),
    "not yet valid": ((client(days_ago=-1),), SITE, "certificate is not yet valid"),
    "of another CA of that name": ((client(IMPOSTOR),), SITE, "certificate verify failed"),
    "a server's": ((server(),), FRONT, "unsuitable certificate purpose"),
    "revoked": ((REVOKED,), SITE, "certificate revoked"),
    "the CA itself": ((CA_CERTIFICATE,), CA.key, "unsuitable certificate purpose"),
    "signed by a hospital": ((BY_A_HOSPITAL, GOOD), SITE, "invalid CA certificate"),
    "none": ((), SITE, "peer did not return a certificate"),
}


def trusted(folder: Path) -> tuple[Path, Path]:
    """Write the CA's certificate and its list of revocations, and return both files."""
    folder.mkdir(exist_ok=True)
    (folder / "ca.crt").write_text(pem(CA_CERTIFICATE))
    (folder / "crl.pem").write_text(pem(CA.revocations([1, REVOKED.serial_number], 2, NOW)))
    return folder / "ca.crt", folder / "crl.pem"


@pytest.mark.parametrize("kind", CLIENTS)
def test_the_server_lets_in_only_clients_of_its_ca(kind: str, tmp_path: Path) -> None:
    chain, key, why = CLIENTS[kind]
    ca, crl = trusted(tmp_path)
    front = server_context(*files_of(tmp_path / "front", FRONT, server()), ca, crl)
    shown = files_of(tmp_path / "client", key, *chain) if chain else None
    refused, complained = handshake(front, client_context(ca, shown))
    assert why in refused
    assert bool(refused) == bool(complained) == bool(why)


SERVERS = {  # who answers -> its certificate and key, the name it was called by, and why the client refuses
    "good": (server(), FRONT, "localhost", ""),
    "good, by address": (server(hosts=("localhost", "127.0.0.1")), FRONT, "127.0.0.1", ""),
    "good, by an IPv6 address": (server(hosts=("::1",)), FRONT, "::1", ""),
    "another name": (server(), FRONT, "centre.example.org", "Hostname mismatch"),
    "another address": (server(hosts=("127.0.0.1",)), FRONT, "127.0.0.2", "IP address mismatch"),
    "a client's": (client(), SITE, "hospital-a", "unsuitable certificate purpose"),
    "expired": (server(days_ago=DAYS + 1), FRONT, "localhost", "certificate has expired"),
    "of another CA of that name": (server(IMPOSTOR), FRONT, "localhost", "certificate verify failed"),
}


@pytest.mark.parametrize("kind", SERVERS)
def test_a_client_believes_only_servers_of_the_ca_by_their_names(kind: str, tmp_path: Path) -> None:
    certificate, key, host, why = SERVERS[kind]
    ca, crl = trusted(tmp_path)
    front = server_context(*files_of(tmp_path / "front", key, certificate), ca, crl)
    known = client_context(ca, files_of(tmp_path / "client", SITE, GOOD))
    _, complained = handshake(front, known, host)
    assert why in complained
    assert bool(complained) == bool(why)


@pytest.mark.parametrize("kind", sorted(CLIENTS.keys() - {"none", "revoked"}))
def test_a_hospital_checks_what_it_was_sent_as_the_server_will(kind: str) -> None:
    (certificate, *_), _, why = CLIENTS[kind]
    ca = CA_CERTIFICATE
    if not why:
        check_client(certificate, ca, NOW)
        return
    with pytest.raises(UsageError, match=r"valid from .* the clock here says|does not come from the CA"):
        check_client(certificate, ca, NOW)


def test_the_sidecars_certificate_is_its_own_root_and_of_loopback_alone(tmp_path: Path) -> None:
    files = files_of(tmp_path, SITE, local_certificate(SITE, NOW))
    sidecar, node = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), client_context(files[0])
    sidecar.load_cert_chain(*files)
    assert handshake(sidecar, node, "127.0.0.1") == handshake(sidecar, node, "localhost") == ("", "")
    assert "mismatch" in handshake(sidecar, node, "centre.example.org")[1]


def test_clocks_that_are_ten_minutes_behind_accept_a_new_certificate() -> None:
    check_client(GOOD, CA_CERTIFICATE, NOW - EARLY)
    with pytest.raises(UsageError, match="set the clock"):
        check_client(GOOD, CA_CERTIFICATE, NOW - EARLY - timedelta(seconds=1))


def test_renewal_is_due_past_half_of_a_certificates_life() -> None:
    half = (timedelta(days=DAYS) + EARLY) / 2 - EARLY
    assert not needs_renewal(GOOD, NOW + half)
    assert needs_renewal(GOOD, NOW + half + timedelta(seconds=1))


def test_nothing_outlives_the_ca() -> None:
    late = NOW + LONG - timedelta(days=1)
    assert CA.client_certificate("a", SITE.public_key(), late, DAYS).not_valid_after_utc == NOW + LONG


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    first = key_at(tmp_path / "keys" / "tls.key")
    assert (tmp_path / "keys" / "tls.key").stat().st_mode & 0o777 == 0o600
    assert key_at(tmp_path / "keys" / "tls.key").private_numbers() == first.private_numbers()


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\n", pem(GOOD).encode()])
def test_what_is_no_key_is_not_replaced(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tls.key"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"tls\.key: not an unencrypted private key.*restore"):
        key_at(path)
    assert path.read_bytes() == content


def test_a_signing_request_is_the_same_bytes_each_time_and_has_to_be_signed_by_its_key() -> None:
    made = pem(signing_request(SITE, "hospital-a"))
    assert pem(signing_request(SITE, "hospital-a")) == made
    assert requested_key(made) == SITE.public_key()
    body = x509.load_pem_x509_csr(made.encode()).public_bytes(Encoding.DER)
    stolen = body.replace(SITE.public_key().public_bytes(*POINT), FRONT.public_key().public_bytes(*POINT))
    with pytest.raises(ValueError, match="not signed with the key"):
        requested_key(pem(x509.load_der_x509_csr(stolen)))


@pytest.mark.parametrize("text", ["", "größer", pem(GOOD).replace("CERT", "CART")])
def test_what_is_no_certificate_is_said_to_be_none(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the answer: not a certificate"):
        certificate_in(text, "the answer")
    (tmp_path / "tls.crt").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"tls\.crt: not a certificate"):
        certificate_at(tmp_path / "tls.crt")
    with pytest.raises(UsageError, match=r"other\.crt: missing"):
        certificate_at(tmp_path / "other.crt")
