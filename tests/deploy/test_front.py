"""The front, built in and by nginx: one suite for both."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.datastructures import URL
from starlette.requests import Request

from tests.deploy.ends import PULL, End, builtin_front, nginx_front
from tests.deploy.proxy_suite import PATIENCE, FrontSuite, needs_nginx


class TestBuiltIn(FrontSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def end(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[End]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("deploy.listener.HEAD_SECONDS", PATIENCE)
            patch.setattr("deploy.gate.BODY_SECONDS", PATIENCE)
            with builtin_front(tmp_path_factory.mktemp("front")) as end:
                yield end

    def test_passes_the_path_that_was_let_in_whatever_the_url_reads(
        self, front: End, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        forged = URL("https://a/v1/control/start-run")  # as Starlette before 1.3.1 reads a forged Host
        monkeypatch.setattr(Request, "url", property(lambda _: forged))
        with front.client() as client:
            assert client.post(PULL, content=b"").status_code == 200
        assert front.behind.reached == [("POST", PULL)]


@needs_nginx
class TestNginx(FrontSuite):
    @pytest.fixture(scope="class")
    @classmethod
    def end(cls) -> Iterator[End]:
        with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix='willis "front" ') as name:
            patch.setattr("deploy.nginx.HEAD_SECONDS", PATIENCE)
            patch.setattr("deploy.nginx.BODY_SECONDS", PATIENCE)
            with nginx_front(Path(name)) as end:  # a path that must be quoted
                yield end
