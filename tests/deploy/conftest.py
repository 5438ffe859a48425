"""Fixtures of the tests of deployment."""

from pathlib import Path

import pytest


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder: requests and answers are written to the one a person is in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
