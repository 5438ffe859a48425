"""Taking leave of the centre for a SuperNode that was killed and could not.

A SuperLink lets in a node that it knows to be away. For the minute in which it waits for the heartbeats of one
that was killed it turns the next one with the same key down, and Flower's SuperNode ends.
"""

import logging
from pathlib import Path
from typing import Any

import httpx
from flwr.proto.fleet_pb2 import DeactivateNodeRequest
from flwr.supercore.interceptors.http.runtime_version import RuntimeVersionHttpInterceptor
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

_log = logging.getLogger("willis.guard")


def leave(node: Path, *, server_address: str, insecure: bool, **link: Any) -> None:  # noqa: ANN401  # as Flower's
    """Tell the centre that the node whose number is in the file `node` is away; where there is no file, nothing.

    What fails here is no error: the node may have been away long since, and the connection to come tells the rest.
    """
    if not node.exists():
        return
    signed = NodeAuthHttpInterceptor(*link["authentication_keys"])
    versioned = RuntimeVersionHttpInterceptor(component_name="SuperNode")
    try:
        with FleetHttpClient.from_server_address(
            server_address, insecure, link["root_certificates"], interceptors=[versioned, signed]
        ) as client:
            client.DeactivateNode(DeactivateNodeRequest(node_id=int(node.read_text(encoding="ascii"))))
    except (httpx.HTTPError, RuntimeError, ValueError) as err:
        _log.info("taking leave: %s", type(err).__name__)
