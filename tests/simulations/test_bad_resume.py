"""A run that was interrupted and then damaged: --resume says in one line what is wrong, and loses nothing."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

import server.run.checkpoint
from server.run.checkpoint import latest, path_of
from server.run.folder import RunFolder
from shared.files import write_durably
from shared.imaging.scan import Role
from tests.cohorts import add_lesion_patient, file_of, lesion_cohorts, snapshot, write_policy
from tests.commands import Outcome, willis

ROUNDS = 2
LITTLE = ("--pretrain", "none", "--count", 2)
ASKED = (*("--recipe", "lesions-3d", "--unsafe-non-private", "--rounds", ROUNDS, "--seed", 3), *LITTLE)
Damage = Callable[[Path, Path], object]  # of a run folder and its cohorts


@pytest.fixture(autouse=True)
def _one_accountant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the second accountant out, as where Opacus is not installed: it is slow and not at stake here."""
    monkeypatch.setattr("server.report.build.second_opinion", lambda: None)


class FullDisk:
    """Makes the disk full just as one file is written, for real: what is written goes to /dev/full."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.before: dict[Path, bytes] = {}  # what lay in the run folder at that instant

    def write(self, path: Path, data: bytes) -> None:
        if path.name == self._name:
            self.before = snapshot(path.parents[1], leaving_out=["status.json"])
            path.with_name(path.name + ".part").symlink_to("/dev/full")
        write_durably(path, data)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome, FullDisk]:
    """A run that met a full disk at its last checkpoint; tests work on copies of it."""
    home = tmp_path_factory.mktemp("stopped")
    disk = FullDisk(path_of(Path(), ROUNDS).name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.run.checkpoint, "write_durably", disk.write)
        outcome = willis("simulate", home / "run", "--cohorts", lesion_cohorts(home / "cohorts"), *ASKED)
    return home, outcome, disk


@pytest.fixture
def home(stopped: tuple[Path, Outcome, FullDisk], tmp_path: Path) -> Path:
    """A copy of the interrupted run and its cohorts."""
    shutil.copytree(stopped[0], tmp_path, dirs_exist_ok=True)
    kept = tmp_path / "run" / "simulation.json"
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"cohorts": str(tmp_path / "cohorts")}))
    federation = {"federation": str(tmp_path / "cohorts" / ".federation")}
    (tmp_path / "run" / "federation.json").write_text(json.dumps(federation))
    return tmp_path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_at_a_checkpoint_loses_nothing_and_the_run_goes_on(
    stopped: tuple[Path, Outcome, FullDisk], home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, outcome, disk = stopped
    file = path_of(folder / "run" / "checkpoints", ROUNDS)
    assert outcome.sentence() == (
        f"{file}: could not be written (No space left on device); free space, then --resume: nothing was lost"
    )
    assert len(disk.before) >= 5
    assert disk.before.items() <= snapshot(folder / "run").items()
    assert not list((folder / "run").rglob("*.part"))
    assert latest(folder / "run" / "checkpoints").round == ROUNDS - 1

    assert willis("simulate", home / "run", "--resume").status == 0
    undisturbed = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(folder / "cohorts", undisturbed / "cohorts")
    cohorts = undisturbed / "cohorts"
    assert willis("simulate", undisturbed / "run", "--cohorts", cohorts, *ASKED).status == 0
    assert latest(home / "run" / "checkpoints").round == ROUNDS
    assert latest(home / "run" / "checkpoints").model == latest(undisturbed / "run" / "checkpoints").model
    assert steps_settled(home / "run") == steps_settled(undisturbed / "run") == {"east": 10, "west": 10}


def steps_settled(run: Path) -> dict[str, int]:
    """Return the private steps each site settled, by its last word."""
    ledger = RunFolder(run).home.open_ledger()
    ledger.close()
    return {s.event.site: s.event.spending.steps for s in ledger.events if s.event.type == "settle"}


def flip(path: Path, place: float = 0.5) -> None:
    """Change one byte of a file, at a share of its length."""
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 0xFF
    path.write_bytes(data)


def checkpoint(run: Path) -> Path:
    return path_of(run / "checkpoints", ROUNDS - 1)


def sqlite(cohorts: Path) -> Path:
    """Return the ledger of the federation."""
    return cohorts / ".federation" / "ledger.sqlite"


def key(cohorts: Path) -> Path:
    """Return the coordinator's key."""
    return cohorts / ".federation" / "coordinator.key"


def altered_entry(run: Path, cohorts: Path) -> None:
    database = sqlite3.connect(sqlite(cohorts))
    (line,) = database.execute("SELECT line FROM log WHERE id = 1").fetchone()
    database.execute("UPDATE log SET line = ? WHERE id = 1", (line.replace(b'"patients":3', b'"patients":9'),))
    database.commit()
    database.close()


def entry_taken_out(run: Path, cohorts: Path) -> None:
    database = sqlite3.connect(sqlite(cohorts))
    database.execute("DELETE FROM log WHERE id = 1")
    database.commit()
    database.close()


def older(cohorts: Path) -> None:
    """Bring an older copy of the database back."""
    database = sqlite3.connect(sqlite(cohorts))
    database.execute("DELETE FROM log WHERE id >= 4")
    database.commit()
    database.close()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGED: dict[str, tuple[Damage, str, str]] = {  # what was done -> where, remedy
    "checkpoint: a weight": (lambda run, _: flip(checkpoint(run), 0.9), "round-00001.safetensors", "delete it to"),
    "checkpoint: header": (lambda run, _: flip(checkpoint(run), 0.0), "round-00001.safetensors", "delete it to"),
    "checkpoint: cut": (lambda run, _: truncated(checkpoint(run)), "round-00001.safetensors", "delete it to"),
    "checkpoint: empty": (
        lambda run, _: checkpoint(run).write_bytes(b""),
        "round-00001.safetensors",
        "restore it",
    ),
    "ledger: altered": (altered_entry, "ledger.sqlite, entry 1: enrol is not signed by east", "restore"),
    "ledger: entry gone": (entry_taken_out, "ledger.sqlite, entry 1: not the entry that belongs here", "restore"),
    "ledger: not SQLite": (
        lambda _, cohorts: flip(sqlite(cohorts), 0.0),
        "ledger.sqlite",
        "restore the ledger from a copy",
    ),
    "ledger: cut": (
        lambda _, cohorts: truncated(sqlite(cohorts)),
        "ledger.sqlite",
        "restore the ledger from a copy",
    ),
    "ledger: empty": (
        lambda _, cohorts: sqlite(cohorts).write_bytes(b""),
        "ledger.sqlite",
        "restore the ledger from",
    ),
    "ledger: gone": (
        lambda _, cohorts: sqlite(cohorts).unlink(),
        "ledger.sqlite: no ledger here",
        "restore it from a copy",
    ),
    "ledger: an older copy": (lambda _, cohorts: older(cohorts), "ledger.jsonl: differs", "restore the later"),
    "mirror: gone": (
        lambda _, cohorts: sqlite(cohorts).with_suffix(".jsonl").unlink(),
        "ledger.jsonl: missing",
        "restore both from one copy",
    ),
    "key: gone": (lambda _, cohorts: key(cohorts).unlink(), "coordinator.key: missing", "restore it"),
    "key: another": (
        lambda run, cohorts: shutil.copy(cohorts / "east" / ".willis" / "site.key", key(cohorts)),
        "ledger.sqlite: not the ledger of",
        "restore both from one copy",
    ),
    "key: damaged": (lambda _, cohorts: truncated(key(cohorts)), "coordinator.key: not an", "restore it"),
    "federation.json: gone": (
        lambda run, _: (run / "federation.json").unlink(),
        "federation.json: missing or damaged",
        "restore it",
    ),
    "plan.json: cut": (lambda run, _: truncated(run / "plan.json"), "plan.json: damaged", "restore it"),
    "run.json: gone": (
        lambda run, _: (run / "run.json").unlink(),
        "run: no run here",
        "`willis simulate` makes one",
    ),
    "run.json: cut": (lambda run, _: truncated(run / "run.json"), "run.json: damaged", "restore it"),
    "simulation.json: gone": (lambda run, _: (run / "simulation.json").unlink(), "simulation.json", "restore it"),
    "simulation.json: cut": (lambda run, _: truncated(run / "simulation.json"), "simulation.json", "restore it"),
    "cohorts: gone": (lambda _, cohorts: cohorts.rename(cohorts.parent / "moved"), "cohorts: no such", "bring"),
    "site: gone": (
        lambda _, cohorts: shutil.rmtree(cohorts / "east"),
        "1 sites, and the run began with 2",
        "restore",
    ),
    "site: more": (
        lambda _, cohorts: lesion_cohorts(cohorts, {"north": 3}),
        "3 sites, and the run",
        "restore them",
    ),
    "patient: gone": (
        lambda _, cohorts: file_of(cohorts / "east", "sub-001", Role.LESION).unlink(),
        "cohorts/east: 2 patients, and not the 3",
        "restore them, or start another run",
    ),
    "patient: more": (
        lambda _, cohorts: add_lesion_patient(cohorts / "east", "sub-999", 9),
        "cohorts/east: 4 patients, and not the 3",
        "restore them, or start another run",
    ),
    "policy: unreadable": (
        lambda _, cohorts: write_policy(cohorts / "east", "x = 1\n"),
        "policy.toml:5: x",
        "known",
    ),
    "site key: gone": (
        lambda _, cohorts: (cohorts / "east" / ".willis" / "site.key").unlink(),
        "east/.willis/site.key: missing",
        "restore it from a backup",
    ),
    "site key: damaged": (
        lambda _, cohorts: truncated(cohorts / "east" / ".willis" / "site.key"),
        "east/.willis/site.key: not an",
        "restore it from a backup",
    ),
    "site salt: gone": (
        lambda _, cohorts: (cohorts / "east" / ".willis" / "salt").unlink(),
        "east/.willis/salt: missing",
        "restore it from a backup",
    ),
    "site ledger: gone": (
        lambda _, cohorts: (cohorts / "east" / ".willis" / "ledger.sqlite").unlink(),
        "east/.willis/ledger.sqlite",
        "from a copy",
    ),
    "site ledger: cut": (
        lambda _, cohorts: truncated(cohorts / "east" / ".willis" / "ledger.sqlite"),
        "east/.willis/ledger.sqlite",
        "from a copy",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_named_and_nothing_else_is_touched(name: str, home: Path) -> None:
    damage, where, remedy = DAMAGED[name]
    damage(home / "run", home / "cohorts")
    told = ["site.log", "status.json"]  # what went wrong
    before = snapshot(home, leaving_out=told)
    sentence = willis("simulate", home / "run", "--resume").sentence()
    assert where in sentence
    assert remedy in sentence
    assert snapshot(home, leaving_out=told) == before


def test_a_damaged_checkpoint_can_be_deleted_and_the_run_goes_on_from_the_one_before(home: Path) -> None:
    flip(checkpoint(home / "run"), 0.9)
    assert willis("simulate", home / "run", "--resume").status == 1
    checkpoint(home / "run").unlink()
    assert willis("simulate", home / "run", "--resume").status == 0
    assert steps_settled(home / "run") == {"east": 10, "west": 10}  # the round made again was not paid again


def test_there_is_nothing_to_resume_in_an_empty_folder(tmp_path: Path) -> None:
    sentence = willis("simulate", tmp_path / "run", "--resume").sentence()
    assert sentence == f"{tmp_path / 'run'}: no run here; `willis simulate` makes one"
    assert not list(tmp_path.iterdir())


def test_a_cohort_under_the_sites_minimum_is_refused_before_training(tmp_path: Path) -> None:
    cohorts = lesion_cohorts(tmp_path / "cohorts", {"east": 3, "west": 2})
    sentence = willis("simulate", tmp_path / "run", "--cohorts", cohorts, *ASKED).sentence()
    assert sentence == (
        "west refuses: the cohort has 2 patients and the site's minimum is 3; add patients or lower min_patients"
    )
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert steps_settled(tmp_path / "run") == {"east": 0}
    assert "the site's minimum is 3" in (tmp_path / "run" / "report" / "report.json").read_text()
