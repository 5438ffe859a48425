"""Log lines can be read by machines, and never fill a disk."""

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.logs import JsonLines, pump, set_up
from deploy.processes import Supervisor
from shared.errors import UsageError
from tests.commands import willis
from tests.deploy.parties import centre, hospital, join


@pytest.fixture(autouse=True)
def _own_root() -> Iterator[None]:
    """Give every test the root logger as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:], root.level = handlers, level


def _written(folder: Path) -> list[dict[str, object]]:
    for handler in logging.getLogger().handlers:
        handler.flush()
    return [json.loads(line) for line in (folder / "up.jsonl").read_text(encoding="utf-8").splitlines()]


def test_a_record_is_one_line_with_its_fields(tmp_path: Path) -> None:
    set_up(tmp_path, "up", megabytes=1, files=1, context={"site": "hospital-a"})
    logging.getLogger("willis.round").warning("two\nlines of %s", "ü", extra={"run": "ab12", "round": 3})
    (entry,) = _written(tmp_path)
    when = entry.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(when))
    assert entry == {
        "level": "WARNING",
        "logger": "willis.round",
        "message": "two\nlines of ü",
        "run": "ab12",
        "round": 3,
        "site": "hospital-a",
    }


def test_the_time_is_utc_in_milliseconds() -> None:
    record = logging.makeLogRecord({"created": 1_700_000_000.123})
    assert json.loads(JsonLines().format(record))["time"] == "2023-11-14T22:13:20.123Z"


def test_a_records_own_field_wins_over_the_context_but_no_field_hides_what_is_logged() -> None:
    record = logging.makeLogRecord({"msg": "said", "levelname": "INFO", "site": "b", "level": "none", "time": 0})
    entry = json.loads(JsonLines({"site": "a", "message": "context"}).format(record))
    assert (entry["site"], entry["level"], entry["message"]) == ("b", "INFO", "said")
    assert entry["time"] != 0


def test_an_exception_is_a_field(tmp_path: Path) -> None:
    set_up(tmp_path, "up", megabytes=1, files=1)
    try:
        raise ValueError("spoilt")
    except ValueError:
        logging.getLogger("willis").exception("round failed")
    (entry,) = _written(tmp_path)
    assert entry["message"] == "round failed"
    assert str(entry["exception"]).startswith("Traceback")
    assert str(entry["exception"]).endswith("ValueError: spoilt")


def test_large_files_are_set_aside_and_only_so_many_kept(tmp_path: Path) -> None:
    set_up(tmp_path, "up", megabytes=1, files=2)
    logging.getLogger().handlers[1].setLevel(logging.CRITICAL)  # what is shown is not tried here
    for _ in range(45):
        logging.getLogger("willis").info("x" * 100_000)
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert sorted(sizes) == ["up.jsonl", "up.jsonl.1", "up.jsonl.2"]
    assert max(sizes.values()) <= 10**6


def test_a_second_set_up_replaces_the_first(tmp_path: Path) -> None:
    set_up(tmp_path / "first", "up", megabytes=1, files=1)
    set_up(tmp_path / "second", "up", megabytes=1, files=1)
    logging.getLogger("willis").info("once")
    assert not (tmp_path / "first" / "up.jsonl").read_text()
    assert len(_written(tmp_path / "second")) == 1


def test_a_hospitals_log_goes_to_no_journal(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = join(centre(here / "centre"), hospital(here / "hospital-a"))

    def begin(_: Supervisor) -> None:
        logging.getLogger("willis.supernode").error("/data/sub-3/anat/sub-3_angio.nii.gz is spoilt")
        raise UsageError("supernode did not come up; its last lines above say why")

    monkeypatch.setattr(Supervisor, "start", begin)
    monkeypatch.setattr(Supervisor, "heed_signals", lambda _: None)
    monkeypatch.setattr("deploy.site.metrics.serve", lambda _: None)
    done = willis("site", "--home", site.path, "up")
    assert done.sentence().startswith("supernode did not come up")
    assert done.said == [f"logs      of hospital-a are in {site.logs}"]
    messages = [str(entry["message"]) for entry in _written(site.logs)]
    assert "sub-3" in messages[-2]
    assert messages[-1].startswith("supernode did not come up")


FLOWER = """\
\x1b[92mINFO \x1b[0m:      Starting Flower SuperNode
\x1b[93mWARNING \x1b[0m:   Option `--insecure` was set.
more of the warning

INFO:     Uvicorn running on http://127.0.0.1:9094 (Press CTRL+C to quit)
\x1b[93mWARNING \x1b[0m:   look out
2026-11-21T22:50:50.604Z INFO [uvicorn.error] Started server process [22444]
Traceback (most recent call last):
  File "app.py", line 1, in <module>
ValueError: spoilt
\x1b[92mINFO \x1b[0m:
\x1b[91mERROR \x1b[0m:     last
"""


def test_lines_of_a_child_keep_their_level_and_lose_their_colour(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        pump(io.StringIO(FLOWER), logging.getLogger("flower"))
    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("INFO", "Starting Flower SuperNode"),
        ("WARNING", "Option `--insecure` was set."),
        ("WARNING", "more of the warning"),
        ("INFO", "Uvicorn running on http://127.0.0.1:9094 (Press CTRL+C to quit)"),
        ("WARNING", "look out"),
        ("INFO", "Started server process [22444]"),
        ("ERROR", "Traceback (most recent call last):"),
        ("ERROR", '  File "app.py", line 1, in <module>'),
        ("ERROR", "ValueError: spoilt"),
        ("ERROR", "last"),
    ]


def test_a_percent_sign_of_a_child_is_no_format(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        pump(["INFO : 100 % of %s\n"], logging.getLogger("flower"))
    assert caplog.messages == ["100 % of %s"]
