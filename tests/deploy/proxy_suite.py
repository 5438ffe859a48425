"""What every front must do, whoever serves it: a suite to inherit, with a fixture `front`."""

import shutil
import socket
import ssl
import time

import httpx
import pytest

from deploy.gate import MOST_BYTES
from deploy.upstream import PASSED
from tests.deploy.ends import PULL, End, answers, until

needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
PATIENCE = 1  # seconds that a front under test waits for the rest of a request
FOREIGN = [
    ("POST", "/v1/control/start-run"),
    ("POST", "/v1/control/register-node"),
    ("POST", "/v1/runtime/acquire-task"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/health"),
    ("GET", "/metrics"),
    ("GET", "/"),
    ("GET", PULL),
    ("PUT", PULL),
    ("DELETE", PULL),
    ("POST", "/v1/willis/health"),
    ("POST", "/v1/willis/other"),
    ("POST", "/v1/fleet/"),
    ("POST", "/v1/fleet"),
    ("POST", "/v1/fleet/pull-messages/more"),
]
_NO_BODY = b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_CALL = b"POST " + PULL.encode() + b" HTTP/1.1\r\nHost: a\r\n"
_SECOND = b"0\r\n\r\nPOST /v1/control/start-run" + _NO_BODY
HOSTILE = {
    "dots": b"POST /v1/fleet/../control/start-run" + _NO_BODY,
    "dots after the allowed": b"POST /v1/fleet/x/../../control/start-run" + _NO_BODY,
    "dots that lead back": b"POST /v1/control/../fleet/pull-messages" + _NO_BODY,
    "encoded dots": b"POST /v1/fleet/%2e%2e/control/start-run" + _NO_BODY,
    "encoded slash": b"POST /v1/fleet%2f..%2fcontrol" + _NO_BODY,
    "encoded letter": b"POST /v1/%66leet/pull-messages" + _NO_BODY,
    "two slashes": b"POST //v1/control/start-run" + _NO_BODY,
    "two slashes within": b"POST /v1/fleet//pull-messages" + _NO_BODY,
    "null": b"POST /v1/fleet/a%00" + _NO_BODY,
    "backslash": b"POST /v1/fleet\\..\\control" + _NO_BODY,
    "query": b"POST /v1/fleet/pull-messages?a=b" + _NO_BODY,
    "fragment": b"POST /v1/fleet/pull-messages#a" + _NO_BODY,
    "capitals": b"POST /V1/FLEET/pull-messages" + _NO_BODY,
    "absolute": b"POST https://a/v1/control/start-run" + _NO_BODY,
    "connect": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n",
    "two hosts": _CALL + b"Host: b\r\nContent-Length: 0\r\n\r\n",
    "two lengths": _CALL + b"Content-Length: 0\r\nContent-Length: 9\r\n\r\n",
    "space before colon": _CALL + b"Content-Length : 0\r\n\r\n",
    "length and chunks": _CALL + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + _SECOND,
    "chunks misspelt": _CALL + b"Transfer-Encoding: xchunked\r\n\r\n" + _SECOND,
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}
HOSTS = [  # a request's target before the path, and its Host, from which Starlette before 1.3.1 took a path
    (b"https://elsewhere.example", b"elsewhere.example"),
    (b"", b"a/v1/control/start-run?"),
    (b"", b"a/v1/control/start-run#"),
    (b"", b"a@b/v1/control"),
    (b"", b"a:1/../v1/control/start-run?x="),
]


class FrontSuite:
    """The guarantees of a front; a class that inherits them has a fixture `end` of its own."""

    @pytest.fixture
    def front(self, end: End) -> End:
        """The end, with nothing noted yet behind it."""
        end.behind.reached.clear()
        end.behind.headers, end.behind.status, end.behind.extra, end.behind.half = {}, 200, (), False
        return end

    def test_passes_a_call_of_a_node_both_ways(self, front: End) -> None:
        body = bytes(range(256)) * 20480  # 5 MiB
        with front.client() as client:
            answer = client.post(PULL, content=body, headers={"content-type": "application/x-protobuf"})
        assert answer.status_code == 200
        assert answer.content == body
        assert answer.headers["content-type"] == "application/x-protobuf"
        assert front.behind.reached == [("POST", PULL)]

    def test_passes_the_headers_flower_reads_and_no_other(self, front: End) -> None:
        sent = {name: name for name in PASSED if name != "content-length"}
        others = {"cookie": "a", "authorization": "b", "x-forwarded-for": "c", "flwr-task-token": "d", "te": "e"}
        with front.client() as client:
            answer = client.post(PULL, content=b"four", headers=sent | others)
        seen = front.behind.headers
        assert {name: seen[name] for name in PASSED} == sent | {"content-length": "4"}
        assert set(seen) & set(others) == set()
        assert "set-cookie" not in answer.headers
        assert "server" not in answer.headers or "/" not in answer.headers["server"]

    def test_tells_the_time(self, front: End) -> None:
        with front.client() as client:
            answer = client.get("/v1/willis/health")
        assert answer.status_code == 200
        assert set(answer.json()) == {"time_ms"}
        assert front.behind.reached == []

    def test_lets_a_hospital_renew(self, front: End) -> None:
        with front.client() as client:
            answer = client.post("/v1/willis/renew", content=b"a request")
        assert (answer.status_code, answer.text) == (200, "renewed: a request")

    @pytest.mark.parametrize(("method", "path"), FOREIGN)
    def test_refuses_everything_else_without_a_word(self, front: End, method: str, path: str) -> None:
        with front.client() as client:
            answer = client.request(method, path, content=b"x" if method == "POST" else None)
        assert (answer.status_code, answer.content) == (403, b"")
        assert front.behind.reached == []

    @pytest.mark.parametrize("name", HOSTILE)
    def test_no_spelling_reaches_what_is_not_allowed(self, front: End, name: str) -> None:
        answer = front.raw(HOSTILE[name], seconds=2)
        assert front.behind.reached == []
        assert not answer or answer.split()[1] in (b"400", b"403", b"405", b"501")

    @pytest.mark.parametrize(("target", "host"), HOSTS)
    def test_no_host_leads_elsewhere(self, front: End, target: bytes, host: bytes) -> None:
        sent = b"POST " + target + PULL.encode() + b" HTTP/1.1\r\nHost: " + host + b"\r\n"
        front.raw(sent + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
        assert front.behind.reached in ([], [("POST", PULL)])

    @pytest.mark.parametrize("chunked", [False, True])
    def test_refuses_a_body_too_large(self, front: End, chunked: bool) -> None:
        body = b"x" * (MOST_BYTES + 1)
        with front.client() as client:
            pieces = (body[i : i + 2**20] for i in range(0, len(body), 2**20))
            answer = client.post(PULL, content=pieces if chunked else body)
        assert (answer.status_code, answer.content) == (413, b"")

    def test_takes_the_largest_body_allowed(self, front: End) -> None:
        with front.client() as client:
            answer = client.post(PULL, content=b"x" * MOST_BYTES)
        assert len(answer.content) == MOST_BYTES

    def test_an_error_of_flower_reaches_the_node_as_it_is(self, front: End) -> None:
        front.behind.status = 412
        with front.client() as client:
            answer = client.post(PULL, content=b'{"code": 1}')
        assert (answer.status_code, answer.content) == (412, b'{"code": 1}')

    def test_an_answer_that_breaks_off_is_not_taken_for_whole(self, front: End) -> None:
        front.behind.half = True
        with front.client() as client, pytest.raises(httpx.TransportError):
            client.post(PULL, content=b"x" * 2**20)

    def test_follows_no_redirection(self, front: End) -> None:
        front.behind.status = 307
        front.behind.extra = ((b"location", b"/v1/control/start-run"),)
        with front.client() as client:
            answer = client.post(PULL, content=b"")
        assert answer.status_code in (307, 502)
        assert "location" not in answer.headers
        assert front.behind.reached == [("POST", PULL)]

    @pytest.mark.parametrize("stem", [None, "expired", "foreign", "server-only", "revoked"])
    def test_refuses_strangers(self, front: End, stem: str | None) -> None:
        with front.client(stem) as client, pytest.raises(httpx.TransportError):
            client.post(PULL, content=b"")
        assert front.behind.reached == []

    def test_refuses_a_certificate_that_is_revoked_while_it_is_connected(self, front: End) -> None:
        serial = front.authority.issue(front.folder, "leaving")
        with front.client("leaving") as client:
            assert client.post(PULL, content=b"").status_code == 200
            front.authority.revoke(serial)
            until(lambda: not answers(client))
        with front.client("leaving") as again:
            assert not answers(again)
        with front.client() as other:
            assert other.post(PULL, content=b"").status_code == 200

    def test_resumes_no_session(self, front: End) -> None:
        files = ssl.create_default_context(cafile=str(front.authority.crt))
        files.load_cert_chain(front.folder / "site.crt", front.folder / "site.key")
        files.maximum_version = ssl.TLSVersion.TLSv1_2
        first = _session(front, files, None).session
        assert not _session(front, files, first).session_reused

    @pytest.mark.parametrize("half", [b"", b"POST /v1/fl", _CALL, _CALL + b"Content-Length: 9\r\n\r\nfour"])
    def test_a_request_left_half_is_dropped(self, front: End, half: bytes) -> None:
        begun = time.monotonic()
        answer = front.raw(half, seconds=30)
        assert not answer or answer.split()[1] == b"503"  # after which Flower asks again
        assert time.monotonic() - begun < 3 * PATIENCE

    @pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
    def test_speaks_no_old_tls(self, front: End) -> None:
        with front.client() as client:
            assert client.get("/v1/willis/health").status_code == 200
        old = ssl.create_default_context(cafile=str(front.authority.crt))
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.raises(ssl.SSLError, match=r"PROTOCOL_VERSION|UNEXPECTED_EOF"):
            _session(front, old, None)


def _session(front: End, context: ssl.SSLContext, former: ssl.SSLSession | None) -> ssl.SSLSocket:
    """Ask the time over a new connection, resuming a former session if one is given."""
    plain = socket.create_connection(("127.0.0.1", front.port), timeout=5)
    with context.wrap_socket(plain, server_hostname="localhost", session=former) as stream:
        stream.sendall(b"GET /v1/willis/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        while stream.recv(4096):
            pass
        return stream
