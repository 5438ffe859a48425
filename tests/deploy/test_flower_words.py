"""What our proxies rest on in Flower: the names it gives to paths and headers."""

import re

from flwr.common.constant import FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE, TIMESTAMP_HEADER
from flwr.supercore import constant
from flwr.supercore.protobuf.translation import PROTOBUF_REQUEST_TYPES

from deploy.front import FLEET
from deploy.gate import MOST_BYTES
from deploy.upstream import ANSWERED, PASSED


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


def test_a_piece_of_an_array_is_no_body_too_large() -> None:
    assert 2 * FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE < MOST_BYTES
