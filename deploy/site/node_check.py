"""Whether Flower's SuperLink would let this hospital's node in, asked without changing anything.

It is asked to activate the node with an interval of heartbeats that it refuses. It looks at signature, clock and
key first, so which refusal comes back tells how the node stands; one that is running now is left alone.
"""

from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from flwr.proto.fleet_pb2 import ActivateNodeRequest
from flwr.supercore.error import ApiErrorCode, FlowerError
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supercore.protobuf.client import ProtobufRequestContext
from flwr.supercore.protobuf.constants import PROTOBUF_MEDIA_TYPE
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from deploy.front import FLEET
from deploy.site.findings import Finding, ok, problem, warning
from deploy.site.home import SiteHome
from deploy.site.sidecar import client_files
from deploy.site.way import SECONDS
from shared.errors import UsageError

_NEVER = 0.0  # an interval that Flower refuses


def node_check(home: SiteHome) -> Finding:
    """Return how the hospital's node stands with Flower.

    Raises:
        UsageError: the node's key or a file of TLS does not serve.
    """
    key = _key(home.keys / "node")
    settings = home.settings
    message = ActivateNodeRequest(public_key=public_key_to_bytes(key.public_key()), heartbeat_interval=_NEVER)
    with httpx.Client(
        verify=client_files(home).context(),
        proxy=settings.proxy or None,
        trust_env=False,
        timeout=SECONDS,
    ) as client:
        request = client.build_request(
            "POST",
            f"https://{settings.coordinator}{FLEET}activate-node",
            content=message.SerializeToString(),
            headers={"content-type": PROTOBUF_MEDIA_TYPE, "accept": PROTOBUF_MEDIA_TYPE},
        )
        context = ProtobufRequestContext("/flwr.proto.Fleet/ActivateNode", message, request)
        signing = NodeAuthHttpInterceptor(key, key.public_key())
        try:
            return judged(signing.intercept(context, lambda signed: client.send(signed.request)))
        except httpx.TransportError as err:
            return _cannot_tell(type(err).__name__)


def judged(answer: httpx.Response) -> Finding:
    """Return what Flower's answer says of the node."""
    error = FlowerError.from_json(answer.text)
    code = error.code if error else None
    if code == ApiErrorCode.FLEET_INVALID_HEARTBEAT_INTERVAL:
        return ok("our node is registered, and Flower takes its signature")
    if code == ApiErrorCode.FLEET_NODE_ACTIVATION_FAILED:
        return problem(
            "Flower knows no node with our key",
            "ask the centre to approve our newest request; `willis site request` makes it",
        )
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return problem(
            "Flower refuses our signature", "set the clock of this machine by NTP; if it is right, join again"
        )
    return _cannot_tell(f"status {answer.status_code}")


def _cannot_tell(why: str) -> Finding:
    return warning(
        f"cannot tell: the centre's SuperLink does not answer ({why})", "try again while the centre is up"
    )


def _key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_ssh_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as err:  # TypeError: it asks for a password
        msg = "not a readable key without a password"
        raise UsageError(f"{path}: {msg}; restore it, or make keys anew with `willis site request`") from err
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UsageError(f"{path}: not an ECDSA key, which Flower needs; restore it from a backup")
    return key
