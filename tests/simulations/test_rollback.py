"""A coordinator whose ledger went back, or was written anew, cannot go on: the hospitals remember."""

import shutil
from pathlib import Path

import pytest

from server.ledger.export import WITNESSED
from server.ledger.home import Home
from shared.errors import LedgerError
from shared.ledger.checkpoint import witness_name
from tests.cohorts import lesion_cohorts
from tests.commands import willis

ASKED = ("--recipe", "lesions-3d", "--unsafe-non-private", "--rounds", 1, "--pretrain", "none")
REMEDY = (
    "east keeps a checkpoint that this ledger does not grow from: an older copy was brought back, "
    "or another history was shown; restore the latest ledger"
)


@pytest.fixture(autouse=True)
def _one_accountant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the second accountant out, as where Opacus is not installed: it is slow and not at stake here."""
    monkeypatch.setattr("server.report.build.second_opinion", lambda: None)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, and a copy of the federation's folder from between them."""
    folder = tmp_path_factory.mktemp("told")
    cohorts = lesion_cohorts(folder / "cohorts")
    assert willis("simulate", folder / "first", "--cohorts", cohorts, *ASKED, "--seed", 1).status == 0
    shutil.copytree(cohorts / ".federation", folder / "backup")
    assert willis("simulate", folder / "second", "--cohorts", cohorts, *ASKED, "--seed", 2).status == 0
    return folder


@pytest.fixture
def home(told: Path, tmp_path: Path) -> Path:
    shutil.copytree(told, tmp_path, dirs_exist_ok=True)
    return tmp_path


def third(home: Path) -> str:
    return willis("simulate", home / "third", "--cohorts", home / "cohorts", *ASKED, "--seed", 3).sentence()


def no_update(home: Path) -> bool:
    return not (home / "third" / "checkpoints").exists()


def test_every_site_cosigned_the_whole_ledger(told: Path) -> None:
    home = Home(told / "cohorts" / ".federation")
    ledger = home.open_ledger()
    ledger.close()
    witnessed = home.witnessed()
    assert witnessed is not None
    assert witnessed.head == ledger.head
    assert {name for name, _ in witnessed.signatures[1:]} == {witness_name("east"), witness_name("west")}
    assert (told / "second" / "ledger" / WITNESSED).read_text(encoding="utf-8") == witnessed.text


@pytest.mark.parametrize("keep_witnessed", [True, False])
def test_a_ledger_brought_back_from_an_older_copy_stops_the_run(home: Path, keep_witnessed: bool) -> None:
    federation = home / "cohorts" / ".federation"
    latest = (federation / WITNESSED).read_bytes()
    shutil.rmtree(federation)
    shutil.copytree(home / "backup", federation)
    if keep_witnessed:  # only the ledger went back: the coordinator itself can tell
        (federation / WITNESSED).write_bytes(latest)
    sentence = third(home)
    if keep_witnessed:
        assert "an older copy was brought back; restore the latest ledger" in sentence
    else:
        assert sentence == REMEDY
    assert no_update(home)


def test_a_ledger_brought_back_that_grew_past_what_was_witnessed_is_still_found_out(home: Path) -> None:
    """More entries than before, but not the same ones."""
    federation = home / "cohorts" / ".federation"
    shutil.rmtree(federation)
    shutil.copytree(home / "backup", federation)
    for attempt in range(12):
        folder = home / f"again-{attempt}"
        outcome = willis("simulate", folder, "--cohorts", home / "cohorts", *ASKED, "--seed", 10 + attempt)
        assert outcome.sentence() in (REMEDY, REMEDY.replace("east", "west", 1))  # whoever answers first
        assert not (folder / "checkpoints").exists()


def test_a_missing_ledger_is_not_begun_anew(home: Path) -> None:
    (home / "cohorts" / ".federation" / "ledger.sqlite").unlink()
    assert "no ledger here, and without it what was spent is not known" in third(home)
    with pytest.raises(LedgerError):
        Home(home / "cohorts" / ".federation").agree(None, None)
