"""The sidecar, built in and by nginx, before a front: both ends as a hospital's node meets them."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.deploy.certificates_made import Authority
from tests.deploy.ends import (
    PULL,
    End,
    builtin_front,
    builtin_sidecar,
    free_port,
    nginx_front,
    nginx_sidecar,
    tunnels,
    until,
)
from tests.deploy.proxy_suite import FOREIGN, HOSTILE, needs_nginx

Start = Callable[..., AbstractContextManager[End]]


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[End]:
    with builtin_front(tmp_path_factory.mktemp("front")) as end:
        yield end


class SidecarSuite:
    """The guarantees of a sidecar; a class that inherits them says what starts one."""

    start: Start

    @pytest.fixture(scope="class")
    @classmethod
    def end(cls, front: End) -> Iterator[End]:
        with cls.start(front) as end:
            yield end

    @pytest.fixture
    def sidecar(self, end: End) -> End:
        end.behind.reached.clear()
        return end

    def test_carries_a_body_intact_through_both_ends(self, sidecar: End) -> None:
        body = bytes(range(256)) * 20480  # 5 MiB, as large as Flower's pieces
        with sidecar.client(None) as client:
            answer = client.post(PULL, content=body)
        assert (answer.status_code, answer.content) == (200, body)
        assert sidecar.behind.reached == [("POST", PULL)]

    def test_tells_the_time_of_the_centre(self, sidecar: End) -> None:
        with sidecar.client(None) as client:
            answer = client.get("/v1/willis/health")
        assert set(answer.json()) == {"time_ms"}

    @pytest.mark.parametrize(("method", "path"), [*FOREIGN, ("POST", "/v1/willis/renew")])
    def test_refuses_everything_else(self, sidecar: End, method: str, path: str) -> None:
        with sidecar.client(None) as client:
            answer = client.request(method, path, content=b"x" if method == "POST" else None)
        assert (answer.status_code, answer.content) == (403, b"")

    @pytest.mark.parametrize("name", HOSTILE)
    def test_no_spelling_reaches_the_front(self, sidecar: End, name: str) -> None:
        sidecar.raw(HOSTILE[name], stem=None, seconds=2)
        assert sidecar.behind.reached == []

    @pytest.mark.parametrize("stem", ["expired", "revoked", "foreign", "server-only"])
    def test_a_certificate_the_front_refuses_is_a_bad_gateway(self, front: End, stem: str) -> None:
        assert self._status(front, stem) == 502

    def test_a_front_of_another_authority_gets_nothing(self, front: End, tmp_path: Path) -> None:
        believed = Authority(tmp_path / "other")
        for stem in ("site.crt", "site.key"):
            (tmp_path / stem).write_bytes((front.folder / stem).read_bytes())
        front.behind.reached.clear()
        assert self._status(End(front.port, front.behind, believed, tmp_path)) == 502
        assert front.behind.reached == []

    def test_a_front_that_is_away_is_a_bad_gateway_at_once(self, front: End) -> None:
        away = End(free_port(), front.behind, front.authority, front.folder)
        begun = time.monotonic()
        assert self._status(away) == 502
        assert time.monotonic() - begun < 5

    def test_takes_up_a_renewed_certificate(self, front: End) -> None:
        front.authority.issue(front.folder, "worn", valid=-timedelta(hours=1))
        with type(self).start(front, "worn") as sidecar, sidecar.client(None) as client:
            assert client.post(PULL).status_code == 502
            front.authority.issue(front.folder, "worn")
            until(lambda: client.post(PULL).status_code == 200)

    def _status(self, front: End, stem: str = "site") -> int:
        with type(self).start(front, stem) as sidecar, sidecar.client(None) as client:
            return client.post(PULL, content=b"").status_code


class TestBuiltIn(SidecarSuite):
    start = staticmethod(builtin_sidecar)

    def test_goes_out_through_a_proxy(self, front: End) -> None:
        with tunnels() as (port, asked):
            with (
                builtin_sidecar(front, proxy=f"http://127.0.0.1:{port}") as sidecar,
                sidecar.client(None) as client,
            ):
                assert client.post(PULL, content=b"four").content == b"four"
            assert asked == [f"CONNECT localhost:{front.port} HTTP/1.1"]

    def test_a_proxy_that_is_away_is_a_bad_gateway(self, front: End) -> None:
        away = f"http://127.0.0.1:{free_port()}"
        with builtin_sidecar(front, proxy=away) as sidecar, sidecar.client(None) as client:
            assert client.post(PULL).status_code == 502


@needs_nginx
class TestNginx(SidecarSuite):
    start = staticmethod(nginx_sidecar)


@needs_nginx
def test_nginx_at_both_ends_carries_a_body_intact(tmp_path: Path) -> None:
    body = bytes(range(256)) * 20480
    with nginx_front(tmp_path) as front, nginx_sidecar(front) as sidecar, sidecar.client(None) as client:
        assert client.post(PULL, content=body).content == body
