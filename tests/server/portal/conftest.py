"""One federation for all tests that only look, and one of its own for each that hands something in."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server.portal.app import portal_app
from tests.server.portal.scene import Scene, scene

BASE = "http://127.0.0.1:8765"


def client_of(made: Scene) -> TestClient:
    """Return a visitor; errors that nobody foresaw come as pages, as they do when it is served."""
    return TestClient(portal_app(made.runs), base_url=BASE, raise_server_exceptions=False)


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return scene(tmp_path_factory.mktemp("shown"))


@pytest.fixture(scope="session")
def visitor(shown: Scene) -> Iterator[TestClient]:
    with client_of(shown) as client:
        yield client


@pytest.fixture
def own(tmp_path: Path) -> Scene:
    return scene(tmp_path)
