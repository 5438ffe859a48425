"""The hospital's own keys, made where they are used, and the request that names their public halves."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_private_key,
)

from deploy.issuing import local_certificate
from deploy.requests import Request, node_line
from deploy.site.home import SiteHome
from shared.certificates import key_at, pem, present, signing_request
from shared.errors import UsageError
from shared.files import write_durably


def make_request(home: SiteHome, *, time: int | None = None) -> Request:
    """Return the hospital's signed request, making the keys that are missing; the same keys give the same bytes.

    Args:
        home: of the hospital.
        time: milliseconds since 1970, for a renewal over the network.

    Raises:
        WillisError: a key or the settings are damaged, or the signing key is lost while a ledger rests on it.
    """
    site = home.site
    identity = site.identity
    request = Request(
        signing_key=identity.public_key,
        name=site.name,
        node_key=_node_key(home),
        csr=pem(signing_request(key_at(home.keys / "tls.key"), site.name)),
        time=time,
    )
    return request.signed(identity)


def make_local_certificate(home: SiteHome) -> None:
    """Make the certificate by which the SuperNode knows the sidecar, unless it is there."""
    path = home.keys / "local.crt"
    if not path.exists():
        write_durably(path, pem(local_certificate(key_at(home.keys / "local.key"), present())).encode())


def forget_keys(home: SiteHome) -> None:
    """Remove the keys that may be stolen or lost without the hospital becoming another: node and TLS."""
    for name in ("node", "node.pub", "tls.key", "tls.crt"):
        (home.keys / name).unlink(missing_ok=True)


def _node_key(home: SiteHome) -> str:
    """Return the OpenSSH line of the node's public key; made on first use, in the form that Flower takes."""
    path = home.keys / "node"
    if not path.exists():
        made = ec.generate_private_key(ec.SECP384R1())
        secret = made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        write_durably(path, secret, mode=0o600)
    try:
        key = load_ssh_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError) as err:  # TypeError: it asks for a password
        raise UsageError(f"{path}: not an unencrypted OpenSSH private key; restore it from a backup") from err
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageError(f"{path}: not an ECDSA key, which Flower needs; restore it from a backup")
    line = node_line(key.public_key())
    write_durably(path.with_name("node.pub"), f"{line}\n".encode())
    return line
