"""One federation, whatever drives it and however often it is interrupted: the same bytes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from client.site import Site
from server.ledger.export import read_lines
from server.ledger.home import Home
from server.run.checkpoint import latest
from shared.imaging.scan import Role
from simulations.federation import HOME
from tests.cohorts import lesion_cohorts

ROUNDS = 3
ASKED = ["--recipe", "lesions-3d", "--epsilon", "8", "--rounds", str(ROUNDS), "--seed", "7"]
ASKED += ["--pretrain", "none", "--count", "2"]


def willis(*words: object) -> list[str]:
    code = "from shared.command import main; main()"
    return [sys.executable, "-c", code, *map(str, words)]


def simulate(out: Path, cohorts: Path, *more: object) -> None:
    command = willis("simulate", out, "--cohorts", cohorts, *ASKED, *more)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sites whose keys are made, so that copies of them are the same sites."""
    root = lesion_cohorts(tmp_path_factory.mktemp("federation") / "cohorts")
    for folder in root.iterdir():
        site = Site(folder)
        site.enrol(site.cohort([Role.LESION]))
    Home(root / HOME).found(1e-5, 1)
    return root


@pytest.fixture(scope="module")
def undisturbed(cohorts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    simulate(out, shutil.copytree(cohorts, out.parent / "cohorts"))
    return out


def events(run: Path) -> list[bytes]:
    return read_lines(run / "ledger")


def assert_same(run: Path, other: Path) -> None:
    assert latest(run / "checkpoints").model == latest(other / "checkpoints").model
    assert events(run) == events(other)
    datasets = run / "dataset" / "manifest.json", other / "dataset" / "manifest.json"
    assert datasets[0].read_bytes() == datasets[1].read_bytes()


def test_the_same_seed_gives_the_same_bytes_and_costs_nothing_twice(
    cohorts: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """A seeded run repeated on the very same sites is a replay: same reservation, same settlement."""
    again = tmp_path / "again"
    simulate(again, undisturbed.parent / "cohorts")
    assert_same(undisturbed, again)


def test_killed_in_the_middle_of_a_round_and_resumed_it_ends_in_the_same_bytes(
    cohorts: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "killed"
    mine = shutil.copytree(cohorts, tmp_path / "cohorts")
    child = subprocess.Popen(
        willis("simulate", out, "--cohorts", mine, *ASKED), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    # Round 2 is under way at one site at least: its question is written down, its checkpoint is not.
    begun = [site / ".willis" / "runs" for site in sorted(mine.iterdir())]
    deadline = time.monotonic() + 120
    while not any(b'"round":2' in q.read_bytes() for folder in begun for q in folder.glob("*/questions.jsonl")):
        assert time.monotonic() < deadline, "round 2 never began"
        assert child.poll() is None, "ended before it could be killed"
        time.sleep(0.002)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert latest(out / "checkpoints").round < ROUNDS
    resumed = subprocess.run(willis("simulate", out, "--resume"), capture_output=True, text=True, check=False)
    assert resumed.returncode == 0, resumed.stderr[-2000:]
    assert_same(undisturbed, out)


def test_ray_gives_the_same_bytes_as_the_embedded_engine(cohorts: Path, undisturbed: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'willis[ray]'")
    out = tmp_path / "ray"
    simulate(out, shutil.copytree(cohorts, tmp_path / "cohorts"), "--engine", "ray")
    assert_same(undisturbed, out)
