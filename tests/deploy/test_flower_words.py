"""What our proxies rest on in Flower: the names it gives to paths and headers, and its own node's way through."""

import re
from pathlib import Path

from flwr.common.constant import FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE, TIMESTAMP_HEADER
from flwr.proto.fleet_pb2 import ActivateNodeRequest, DeactivateNodeRequest, PullMessagesRequest
from flwr.proto.node_pb2 import Node
from flwr.supercore import constant
from flwr.supercore.interceptors.http.runtime_version import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import generate_key_pairs, public_key_to_bytes
from flwr.supercore.protobuf.client import ProtobufClientInterceptor
from flwr.supercore.protobuf.translation import PROTOBUF_REQUEST_TYPES
from flwr.superlink.main import create_app
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from deploy.front import FLEET
from deploy.gate import MOST_BYTES
from deploy.upstream import ANSWERED, PASSED
from tests.deploy.ends import builtin_front, builtin_sidecar


def test_every_call_of_a_node_has_a_path_that_passes() -> None:
    calls = [path for _, path in PROTOBUF_REQUEST_TYPES if path.startswith(FLEET)]
    assert len(calls) == 12
    assert all(re.fullmatch(r"/v1/fleet/[a-z-]+", path) for path in calls)


def test_every_header_of_a_node_passes() -> None:
    flower = {
        TIMESTAMP_HEADER,
        constant.FLEET_HTTP_PUBLIC_KEY_HEADER,
        constant.FLEET_HTTP_SIGNATURE_HEADER,
        constant.FLWR_PACKAGE_NAME_METADATA_KEY,
        constant.FLWR_PACKAGE_VERSION_METADATA_KEY,
        constant.FLWR_COMPONENT_NAME_METADATA_KEY,
    }
    assert {name for name in PASSED if name.startswith("flwr-")} == flower
    assert constant.VERSION_INCOMPATIBILITY_MESSAGE_METADATA_KEY in ANSWERED


def test_flowers_own_client_reaches_flowers_own_superlink_through_both_ends(tmp_path: Path) -> None:
    private, public = generate_key_pairs()
    known = public_key_to_bytes(public)
    app = create_app()
    app.state.enable_supernode_auth = True
    number = app.state.linkstate_factory.state().create_node("", "", known, 0)
    with builtin_front(tmp_path, app) as front, builtin_sidecar(front) as sidecar:
        interceptors: list[ProtobufClientInterceptor] = [
            RuntimeVersionHttpInterceptor("SuperNode"),
            NodeAuthHttpInterceptor(private, public),
        ]
        where, roots = f"localhost:{sidecar.port}", sidecar.authority.crt.read_bytes()
        with FleetHttpClient.from_server_address(where, False, roots, interceptors) as client:
            assert (
                client.ActivateNode(ActivateNodeRequest(public_key=known, heartbeat_interval=30)).node_id == number
            )
            assert not client.PullMessages(PullMessagesRequest(node=Node(node_id=number))).messages_list
            client.DeactivateNode(DeactivateNodeRequest(node_id=number))


def test_a_piece_of_an_array_is_no_body_too_large() -> None:
    assert 2 * FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE < MOST_BYTES
