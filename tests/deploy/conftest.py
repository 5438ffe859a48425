"""What tests of deployment share."""

import socket
from pathlib import Path

import pytest


@pytest.fixture
def free_port() -> int:
    """Return a port of loopback that nobody had a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder: requests and answers are written to the one a person is in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
