"""The guard between real processes of Flower, over TLS."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from flwr.cli.build import build_fab_from_disk
from flwr.common.constant import ErrorCode

from deploy import flower
from deploy.site.approvals import Approvals
from deploy.site.replies import SENTENCES
from tests.deploy.flower_processes import SIGNING_KEY, Centre, Hospital, Processes, processes, until
from tests.deploy.small_app import CLIENT, Questions, write_app

pytestmark = pytest.mark.deploy


class Setting:
    """A centre, a hospital, and the small app."""

    def __init__(self, folder: Path, started: Processes) -> None:
        self.folder = folder
        self.centre = Centre(folder / "centre", started)
        self.hospital = Hospital(folder / 'site\'s "a"', self.centre, started)
        self.app = write_app(folder / "app")
        self.approvals = Approvals(self.hospital.home.bundles)
        self._runs = 0

    def submit(self, app: Path, *settings: str) -> Questions:
        self._runs += 1
        questions = Questions(self.folder / f"run-{self._runs}")
        more = [] if not settings else ["--run-config", *settings]
        where = ["--run-config", flower.config_text({"run-folder": str(questions.folder)})]
        flower._flwr(self.centre.home, "run", str(app), flower.CONNECTION, *where, *more)
        return questions

    def ask(self, app: Path, kind: str, *settings: str) -> dict[str, object]:
        """Ask one question in a run of its own."""
        questions = self.submit(app, *settings)
        try:
            return questions.answer(questions.ask(kind))
        finally:
            questions.stop()

    def refusals(self) -> list[tuple[str, str]]:
        return [(d.hash, d.note) for d in self.approvals.decisions() if d.verb == "refused"]

    def site_log(self) -> str:
        return (self.hospital.home.logs / "guard.jsonl").read_text()


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("guard")
    with processes(folder) as started:
        made = Setting(folder, started)
        made.hospital.start()
        made.approvals.approve(build_fab_from_disk(made.app), "test")
        until(lambda: flower.registered(made.centre.home)[0].status == "online", "online")
        yield made


def test_an_approved_bundle_runs_with_the_sites_settings_as_they_are(setting: Setting) -> None:
    answer = setting.ask(setting.app, "echo")
    settings = setting.hospital.home.settings
    assert json.loads(str(answer["said"])) == {
        "site-folder": str(setting.hospital.home.path),
        "site-name": settings.name,
        "cohort": str(settings.cohort),
        "coordinator-key": SIGNING_KEY,
        "threads": 1,
    }


def test_one_changed_line_is_refused_recorded_and_kept_for_review(setting: Setting) -> None:
    changed = write_app(setting.folder / "changed", CLIENT + "\nprint(1)\n")
    answer = setting.ask(changed, "echo")
    content = build_fab_from_disk(changed)
    (pending,) = setting.approvals.pending()
    assert (answer["code"], answer["text"]) == (ErrorCode.INVALID_FAB, SENTENCES[ErrorCode.INVALID_FAB])
    assert setting.approvals.read(pending) == content
    assert (pending, "the bundle is not approved here") in setting.refusals()
    assert "print(1)" not in "".join(p.read_text() for p in setting.hospital.home.flower.rglob("app.py"))


def test_noise_turned_off_by_the_coordinator_is_refused(setting: Setting) -> None:
    answer = setting.ask(setting.app, "echo", "noise-multiplier=0.0")
    assert answer["code"] == ErrorCode.INVALID_FAB
    assert any("'noise-multiplier' to 0.0" in note for _, note in setting.refusals())


def test_what_an_app_raises_never_reaches_the_coordinator(setting: Setting) -> None:
    answer = setting.ask(setting.app, "fail")
    code = ErrorCode.CLIENT_APP_RAISED_EXCEPTION
    assert (answer["code"], answer["text"]) == (code, SENTENCES[code])
    assert "TOP-SECRET" in setting.site_log()
    assert b"TOP-SECRET" not in setting.centre.database()


def test_a_revocation_holds_from_the_next_message_of_a_running_run(setting: Setting) -> None:
    content = build_fab_from_disk(setting.app)
    questions = setting.submit(setting.app)
    try:
        assert "said" in questions.answer(questions.ask("echo"))
        hash_ = setting.approvals.approve(content, "test")
        setting.approvals.revoke(hash_, "test")
        assert questions.answer(questions.ask("echo"))["code"] == ErrorCode.INVALID_FAB
        setting.approvals.approve(content, "test")
        assert "said" in questions.answer(questions.ask("echo"))
    finally:
        questions.stop()


def test_an_app_unpacked_before_is_not_taken_for_the_approved_one(setting: Setting) -> None:
    """Flower goes by eight digits of the hash; what lies in that folder is somebody else's."""
    home = setting.hospital.home
    (unpacked,) = (home.flower / "apps").iterdir()
    app = unpacked / "client" / "app.py"
    app.write_text(app.read_text().replace('"done"', '"other"').replace("dict(context.node_config)", '"other"'))
    setting.hospital.kill_guard()
    setting.hospital.start_guard()
    assert "other" not in str(setting.ask(setting.app, "echo")["said"])


@pytest.mark.parametrize("how", ["leave", "kill"])
def test_an_app_that_is_killed_is_answered_for(setting: Setting, how: str) -> None:
    questions = setting.submit(setting.app)
    try:
        if how == "leave":
            number = questions.ask("leave")
        else:
            number = questions.ask("wait")
            until((setting.hospital.home.path / "working").exists, "the app works")
            process = setting.hospital.app_process()
            assert process is not None
            os.kill(process, signal.SIGKILL)
        answer = questions.answer(number, seconds=120.0)
        assert answer["code"] == ErrorCode.CLIENT_APP_CRASHED
        assert "said" in questions.answer(questions.ask("echo"))
    finally:
        (setting.hospital.home.path / "working").unlink(missing_ok=True)
        questions.stop()


def test_a_supernode_that_is_killed_answers_for_its_request_when_it_is_back(setting: Setting) -> None:
    questions = setting.submit(setting.app)
    try:
        number = questions.ask("wait")
        until((setting.hospital.home.path / "working").exists, "the app works")
        setting.hospital.kill_guard()
        setting.hospital.start_guard()
        answer = questions.answer(number, seconds=20.0)
        # The centre learns it from the SuperLink or from the guard, whichever is asked first.
        assert answer["code"] in (ErrorCode.CLIENT_APP_CRASHED, ErrorCode.NODE_UNAVAILABLE)
        assert "said" in questions.answer(questions.ask("echo"))
    finally:
        (setting.hospital.home.path / "go").touch()
        questions.stop()
