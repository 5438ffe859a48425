"""One published run and one authority for all tests of the audit service; what changes is copied."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.audit_service.serving import Party, published


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def party(tmp_path_factory: pytest.TempPathFactory) -> Party:
    return Party(tmp_path_factory.mktemp("party"))


@pytest.fixture
def run_dir(untouched: Path, tmp_path: Path) -> Path:
    """A copy of the run, whose ledger is its own."""
    folder = shutil.copytree(untouched, tmp_path / "run")
    (folder / "federation.json").write_text(f'{{"federation": "{folder / "home"}"}}')
    return folder


@pytest.fixture(scope="session")
def host(untouched: Path, party: Party) -> Iterator[str]:
    with party.serving(untouched) as address:
        yield address
