"""The front, built in and by nginx: one suite for both."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.ends import End, builtin_front, nginx_front
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
