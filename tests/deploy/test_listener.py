"""A listener and the files it follows."""

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from deploy.front import service_app
from deploy.listener import Listener
from deploy.tls import ServerFiles
from shared.errors import UsageError
from tests.deploy.certificates_made import SERVER, Authority
from tests.deploy.ends import PULL, End, answers, builtin_front, until


@pytest.fixture
def front(tmp_path: Path) -> Iterator[End]:
    with builtin_front(tmp_path) as end:
        yield end


def serial(front: End) -> int:
    """Return the serial number of the certificate that the front shows now."""
    context = ssl.create_default_context(cafile=str(front.authority.crt))
    context.load_cert_chain(front.folder / "site.crt", front.folder / "site.key")
    plain = socket.create_connection(("127.0.0.1", front.port), timeout=5)
    with context.wrap_socket(plain, server_hostname="localhost") as stream:
        shown = stream.getpeercert()
    assert shown
    return int(str(shown["serialNumber"]), 16)


def test_a_renewed_certificate_is_shown_and_no_connection_dropped(front: End) -> None:
    with front.client() as client:
        before = _address(client.post(PULL, content=b""))
        renewed = front.authority.issue(front.folder, "server", SERVER)
        until(lambda: serial(front) == renewed)
        assert _address(client.post(PULL, content=b"")) == before


def test_a_list_of_revocations_that_is_damaged_leaves_the_old_one_in_force(front: End) -> None:
    front.authority.crl.write_bytes(front.authority.crl.read_bytes()[:100])
    end = time.monotonic() + 1.5  # longer than from one look at the files to the next
    while time.monotonic() < end:
        with front.client("revoked") as client, pytest.raises(httpx.TransportError):
            client.post(PULL, content=b"")
        with front.client() as client:
            assert client.post(PULL, content=b"").status_code == 200


def test_a_certificate_that_expires_ends_its_connection(front: End) -> None:
    front.authority.issue(front.folder, "brief", valid=timedelta(seconds=1.5))
    with front.client("brief") as client:
        assert client.post(PULL, content=b"").status_code == 200
        until(lambda: not answers(client))


def test_a_port_that_is_taken_is_said_in_one_sentence(front: End) -> None:
    with pytest.raises(UsageError, match=rf"127.0.0.1:{front.port}: cannot listen there"):
        Listener(service_app(), "127.0.0.1", front.port, None)


@pytest.mark.parametrize("lost", ["server.crt", "server.key", "ca.crt", "crl.pem"])
def test_a_missing_file_is_said_in_one_sentence(tmp_path: Path, lost: str) -> None:
    authority = Authority(tmp_path)
    authority.issue(tmp_path, "server", SERVER)
    (tmp_path / lost).unlink()
    files = ServerFiles(tmp_path / "server.crt", tmp_path / "server.key", authority.crt, authority.crl)
    with pytest.raises(UsageError, match=lost):
        Listener(service_app(), "127.0.0.1", 0, files)


def _address(answer: httpx.Response) -> object:
    """Return this end of the connection that an answer came over; called while it is open."""
    return answer.extensions["network_stream"].get_extra_info("client_addr")
