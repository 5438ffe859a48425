"""Real TLS handshakes on loopback, and what each side says when it refuses."""

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from shared.certificates import pem

SECONDS = 10.0


def files_of(folder: Path, key: ec.EllipticCurvePrivateKey, *chain: x509.Certificate) -> tuple[Path, Path]:
    """Write a chain of certificates, the owner's first, and its key; return both files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chain.pem").write_text("".join(map(pem, chain)))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "chain.pem", folder / "key.pem"


def server_context(certificate: Path, key: Path, clients: Path, revoked: Path) -> ssl.SSLContext:
    """Return a server that lets in only clients of a CA whose certificate is not revoked."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients)
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_CRL_CHECK_LEAF
    context.load_verify_locations(revoked)
    context.load_cert_chain(certificate, key)
    return context


def client_context(servers: Path, files: tuple[Path, Path] | None = None) -> ssl.SSLContext:
    """Return a client that trusts the servers of one CA only."""
    context = ssl.create_default_context(cafile=servers)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if files:
        context.load_cert_chain(*files)
    return context


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str = "localhost") -> tuple[str, str]:
    """Meet, and say hello both ways; return why the server and why the client refused, "" where it did not."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as other:
        listener.settimeout(SECONDS)
        served = other.submit(_serve, listener, server)
        asked = _ask(listener.getsockname()[1], client, host)
        return served.result(), asked


def _serve(listener: socket.socket, context: ssl.SSLContext) -> str:
    connection, _ = listener.accept()
    connection.settimeout(SECONDS)
    with connection:
        try:
            with context.wrap_socket(connection, server_side=True) as secured:
                secured.sendall(b"hello")
                secured.recv(1)
        except OSError as err:
            return str(err)
    return ""


def _ask(port: int, context: ssl.SSLContext, host: str) -> str:
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        try:
            with context.wrap_socket(connection, server_hostname=host) as secured:
                assert secured.recv(5) == b"hello"
                secured.sendall(b".")
        except OSError as err:
            return str(err)
    return ""
