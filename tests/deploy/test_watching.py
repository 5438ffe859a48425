"""`status` and `watch` say how a run stands, and scripts can read it from the exit status."""

import json
import threading
import time
from pathlib import Path

import pytest

from deploy.coordinator.watching import EXIT_STATUS
from tests.commands import willis
from tests.deploy.folders import add_run, centre, certificate, hospital, reserve, running
from tests.server.ledgers import Story


def _words(lines: list[str]) -> str:
    """Return lines without the places where they were broken."""
    return " ".join(" ".join(lines).split())


def test_a_table_of_all_runs(tmp_path: Path) -> None:
    home = centre(tmp_path)
    add_run(home, "first", running())
    add_run(home, "second", running(state="finished", round=4, round_seconds=None, mean_round_seconds=None))
    outcome = willis("coordinator", "--home", tmp_path, "status")
    assert outcome.status == 0
    first, second = (line.split() for line in outcome.said[1:])
    assert first == ["first", "vessels-2d", "wgan", "running", "rounds", "2/4", "60", "s", "3/3", "1"]
    assert second[3:6] == ["finished", "rounds", "4/4"]


@pytest.mark.parametrize(("state", "code"), EXIT_STATUS.items())
def test_the_exit_status_tells_the_state(tmp_path: Path, state: str, code: int) -> None:
    home = centre(tmp_path, Story().events())
    add_run(home, "first", running(state=state, code="quorum", sentence="1 of 3 sites [north] answered"))
    outcome = willis("coordinator", "--home", tmp_path, "status", "first")
    assert outcome.status == code
    text = _words(outcome.said)
    assert "1 of 3 sites [north] answered" in text
    assert ("willis coordinator resume first" in text) == (state in {"failed", "interrupted"})
    assert "unit: patient; add/remove; PLD, dp-accounting" in text


def test_the_exit_statuses_are_those_that_the_help_names() -> None:
    help_ = _words(willis("coordinator", "status", "--help").said)
    for state, code in EXIT_STATUS.items():
        assert f"{code} {state}" in help_


def test_scripts_get_json(tmp_path: Path) -> None:
    home = centre(tmp_path)
    add_run(home, "first", running())
    one = json.loads(willis("coordinator", "--home", tmp_path, "status", "first", "--json").said[0])
    (listed,) = json.loads(willis("coordinator", "--home", tmp_path, "status", "--json").said[0])
    assert one == listed
    assert (one["run"], one["state"], one["round"], one["rounds_planned"], one["seconds_left"]) == (
        "first",
        "running",
        2,
        4,
        60.0,
    )


def test_a_run_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    home = centre(tmp_path)
    add_run(home, "first", running())
    sentence = willis("coordinator", "--home", tmp_path, "status", "last").sentence()
    assert "no run is called last; there are first" in sentence


def test_a_run_never_started_is_interrupted(tmp_path: Path) -> None:
    add_run(centre(tmp_path), "first")
    outcome = willis("coordinator", "--home", tmp_path, "status", "first")
    assert outcome.status == EXIT_STATUS["interrupted"]
    assert "it was never started" in " ".join(outcome.said)


def test_a_run_that_went_quiet_is_pointed_at(tmp_path: Path) -> None:
    home = centre(tmp_path)
    add_run(home, "first", running(updated=time.time() - 7200))
    add_run(home, "second", running(updated=time.time()))
    quiet, loud = (willis("coordinator", "--home", tmp_path, "status", run).said for run in ("first", "second"))
    assert "2 h 1 min ago" in _words(quiet)
    assert "ago" not in " ".join(loud)


def test_watching_ends_with_the_run_and_says_each_change_once(tmp_path: Path) -> None:
    home = centre(tmp_path, Story().events())
    add_run(home, "first", running())
    status = home.run("first").path / "status.json"

    def go_on() -> None:
        for step in (running(round=3), running(round=4, state="finished", phase="report")):
            time.sleep(0.4)
            part = status.with_suffix(".part")
            part.write_text(json.dumps(step))
            part.replace(status)

    thread = threading.Thread(target=go_on)
    thread.start()
    outcome = willis("coordinator", "--home", tmp_path, "watch", "--every", 0.1)
    thread.join()
    assert outcome.status == 0
    assert outcome.said == [
        "first: running, rounds, round 2/4, about 60 s left, 1 refused",
        "first: running, rounds, round 3/4, about 30 s left, 1 refused",
        "first: finished, report, round 4/4, 1 refused",
    ]


def test_there_is_nothing_to_watch(tmp_path: Path) -> None:
    add_run(centre(tmp_path), "first", running(state="finished"))
    assert "no run is running" in willis("coordinator", "--home", tmp_path, "watch").sentence()


def test_a_hospital_sees_what_it_joined_approved_and_spent(tmp_path: Path) -> None:
    home = hospital(tmp_path)
    new = _words(willis("site", "--home", tmp_path, "status").said)
    for said in (
        "joined no;",
        "certificate none;",
        "approved no bundle;",
        "last answer none yet",
        "refused nothing",
    ):
        assert said in new
    story = Story(recipe="lesions-3d")
    reserve(home, story, begun=3)
    home.site.refuse(story.run_id, 4, "round 4 was [never] agreed")
    home.joined.write_text("{}")
    certificate(home.keys / "tls.crt", days=10.5)
    text = _words(willis("site", "--home", tmp_path, "status").said)
    assert f"run {story.run_id[:12]} lesions-3d wgan, reserved, 3 of 4 rounds begun" in text
    assert "(request): round 4 was [never] agreed" in text
    assert "10 days" in text
    assert text.count("unit: patient; add/remove") == 4  # alone, committed, cap, left


def test_an_expired_certificate_is_called_so(tmp_path: Path) -> None:
    home = hospital(tmp_path)
    certificate(home.keys / "tls.crt", days=-1)
    assert "EXPIRED" in " ".join(willis("site", "--home", tmp_path, "status").said)
