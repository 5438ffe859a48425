"""Cells of a study: computed once, kept whatever happens to others, continued after an interruption."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.canonical import Json
from shared.errors import UsageError
from simulations.studies.cells import Cell, Done, finished, run_cells

INTERRUPTED = """
import sys
from pathlib import Path
from simulations.studies.cells import run_cells
from tests.simulations.test_study_cells import CELLS, slow_work
run_cells(Path(sys.argv[1]), "test", CELLS, slow_work, jobs=1, report=print)
"""
CELLS = [Cell(name, {"value": value}) for name, value in (("a", 1), ("b", 2), ("c", 3))]


def count(out: Path, cell: Cell) -> Json:
    """Leave a line for each call, print one, and return twice the value."""
    print("at work on", cell.name)
    with (out / "calls.txt").open("a", encoding="utf-8") as file:
        file.write(f"{cell.name}\n")
    value = cell.settings["value"]
    assert isinstance(value, int)
    return 2 * value


def die_at_b(out: Path, cell: Cell) -> Json:
    """Be killed at cell b, as by a machine out of memory, until it is allowed."""
    if cell.name == "b" and not (out / "allowed").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return count(out, cell)


def refuse_b(out: Path, cell: Cell) -> Json:
    """Refuse cell b as a run over budget is refused."""
    if cell.name == "b":
        raise UsageError("over budget; ask for less")
    return count(out, cell)


def slow_work(out: Path, cell: Cell) -> Json:
    """Take a moment, so that a study can be killed in between."""
    time.sleep(0.3)
    return count(out, cell)


def linger(out: Path, cell: Cell) -> Json:
    """Say who is at work, and work on for long."""
    (out / "worker.txt").write_text(str(os.getpid()), encoding="utf-8")
    time.sleep(60)
    return None


def calls(out: Path) -> list[str]:
    """Return the cells computed so far, in alphabetical order."""
    return sorted((out / "calls.txt").read_text(encoding="utf-8").split())


def wait_for(happened: Callable[[], bool]) -> None:
    """Wait, at most a minute, and fail if it does not happen."""
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(process: int) -> bool:
    """Whether a process of this number runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


def test_a_finished_cell_is_not_computed_again_and_every_result_comes_back(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    first = run_cells(tmp_path, "test", CELLS, count, jobs=2, report=lambda *args: told.append(args))
    again = run_cells(tmp_path, "test", CELLS, count, jobs=2, report=silent)
    assert {name: done.result for name, done in first.items()} == {"a": 2, "b": 4, "c": 6}
    assert again == first
    assert calls(tmp_path) == ["a", "b", "c"]
    assert told[0] == ("test", 0, 3)
    assert told[-1] == ("test", 3, 3)


def test_changed_settings_are_computed_anew_and_the_rest_is_kept(tmp_path: Path) -> None:
    run_cells(tmp_path, "test", CELLS, count, jobs=1, report=silent)
    changed = [CELLS[0], Cell("b", {"value": 5}), CELLS[2]]
    found = run_cells(tmp_path, "test", changed, count, jobs=1, report=silent)
    assert found["b"].result == 10
    assert calls(tmp_path) == ["a", "b", "b", "c"]


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"digest": "other", "result": 1}', b"not json"])
def test_a_damaged_result_is_computed_anew(tmp_path: Path, damage: bytes) -> None:
    run_cells(tmp_path, "test", CELLS[:1], count, jobs=1, report=silent)
    (tmp_path / "cells" / "a.json").write_bytes(damage)
    assert run_cells(tmp_path, "test", CELLS[:1], count, jobs=1, report=silent)["a"].result == 2
    assert calls(tmp_path) == ["a", "a"]


def test_a_cell_that_is_killed_is_named_and_leaves_the_others(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"1 of 3 cells failed at test \(b: .*same command again"):
        run_cells(tmp_path, "test", CELLS, die_at_b, jobs=2, report=silent)
    assert calls(tmp_path) == ["a", "c"]
    (tmp_path / "allowed").touch()
    found = run_cells(tmp_path, "test", CELLS, die_at_b, jobs=2, report=silent)
    assert found["b"].result == 4
    assert calls(tmp_path) == ["a", "b", "c"]


def test_an_error_says_why_and_a_cell_that_failed_has_no_result(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="b: over budget; ask for less"):
        run_cells(tmp_path, "test", CELLS, refuse_b, jobs=1, report=silent)
    assert finished(tmp_path, CELLS[1]) is None
    assert calls(tmp_path) == ["a", "c"]


def test_a_study_killed_between_cells_goes_on_where_it_was(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED, str(tmp_path)], env=environment) as study:
        wait_for((tmp_path / "cells" / "a.json").exists)
        study.kill()
    before = calls(tmp_path)
    assert "a" in before
    assert finished(tmp_path, CELLS[2]) is None
    found = run_cells(tmp_path, "test", CELLS, slow_work, jobs=1, report=silent)
    assert [done.result for done in found.values()] == [2, 4, 6]
    assert calls(tmp_path).count("a") == 1


def test_a_cell_ends_when_its_study_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    script = INTERRUPTED.replace("slow_work", "linger")
    worker = tmp_path / "worker.txt"
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], env=environment) as study:
        wait_for(lambda: worker.exists() and worker.read_text(encoding="utf-8") != "")
        study.kill()
    wait_for(lambda: not alive(int(worker.read_text(encoding="utf-8"))))


def test_what_a_cell_prints_is_in_its_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = run_cells(tmp_path, "test", CELLS[:1], count, jobs=1, report=silent)
    assert isinstance(found["a"], Done)
    assert "at work on a" in (tmp_path / "cells" / "a.log").read_text(encoding="utf-8")
    assert "at work" not in capfd.readouterr().out


def test_two_cells_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name each"):
        run_cells(tmp_path, "test", [CELLS[0], CELLS[0]], count, jobs=1, report=silent)
