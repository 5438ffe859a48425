"""Programs that are kept running: what dies comes back, what is stopped leaves nothing behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.orphans import end_orphans
from deploy.processes import Program, Supervisor, answers
from shared.errors import UsageError

_SERVER = "import socket,sys,time;s=socket.socket();s.bind(('127.0.0.1',{port}));s.listen();time.sleep(60)"


def _program(name: str, code: str, port: int | None = None) -> Program:
    return Program(name, (sys.executable, "-c", code), dict(os.environ), port)


def _until(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


@contextmanager
def _watched(supervisor: Supervisor) -> Iterator[None]:
    """Run the supervisor's loop beside the test; signals are only for the main thread."""
    thread = threading.Thread(target=supervisor.watch, args=(lambda: None,), kwargs={"every": 0.02})
    thread.start()
    try:
        yield
    finally:
        supervisor.stop()
        thread.join(30)
        assert not thread.is_alive()


def test_what_dies_is_started_again(tmp_path: Path) -> None:
    mark = tmp_path / "starts"
    supervisor = Supervisor([_program("mayfly", f"open({str(mark)!r}, 'a').write('x')")], first_pause=0.02)
    supervisor.start()
    with _watched(supervisor):
        assert _until(lambda: mark.exists() and len(mark.read_text()) >= 3)


def test_stopping_takes_along_what_a_program_started(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    child = f"import os,time;open({str(mark)!r},'w').write(str(os.getpid()));time.sleep(60)"
    code = f"import subprocess,sys,time;subprocess.Popen([sys.executable,'-c',{child!r}]);time.sleep(60)"
    supervisor = Supervisor([_program("parent", code)])
    supervisor.start()
    assert _until(lambda: mark.exists() and mark.read_text() != "")
    supervisor.stop_all()
    state = Path(f"/proc/{mark.read_text()}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_a_program_that_ignores_being_asked_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("deploy.processes.STOP_SECONDS", 0.2)
    mark = tmp_path / "ready"
    code = (
        "import signal,time;signal.signal(signal.SIGTERM,signal.SIG_IGN);"
        f"open({str(mark)!r},'w').close();time.sleep(60)"
    )
    supervisor = Supervisor([_program("deaf", code)])
    supervisor.start()
    assert _until(mark.exists)
    began = time.monotonic()
    supervisor.stop_all()
    assert time.monotonic() - began < 5


def test_a_taken_port_is_named_before_anything_runs(free_port: int) -> None:
    first = Supervisor([_program("one", _SERVER.format(port=free_port), free_port)])
    first.start()
    try:
        assert answers(free_port)
        second = Supervisor([_program("two", _SERVER.format(port=free_port), free_port)])
        with pytest.raises(UsageError, match=f"port {free_port} .* is taken, and two needs it"):
            second.start()
        assert answers(free_port), "the first is left alone"
    finally:
        first.stop_all()
    assert not answers(free_port)


def test_a_program_that_does_not_come_up_is_named(free_port: int) -> None:
    supervisor = Supervisor([_program("broken", "raise SystemExit(3)", free_port)])
    with pytest.raises(UsageError, match="broken did not come up"):
        supervisor.start()


def test_one_program_can_be_restarted_alone(tmp_path: Path) -> None:
    mark, other = tmp_path / "starts", tmp_path / "others"
    write = "import time;open({!r},'a').write('x');time.sleep(60)"
    supervisor = Supervisor(
        [_program("one", write.format(str(mark))), _program("other", write.format(str(other)))]
    )
    supervisor.start()
    with _watched(supervisor):
        assert _until(lambda: mark.exists() and other.exists() and mark.read_text() == "x")
        supervisor.restart("one")
        assert _until(lambda: mark.read_text() == "xx")
    assert other.read_text() == "x"


def test_what_an_earlier_up_left_is_ended_and_nothing_else(tmp_path: Path) -> None:
    def start(home: Path) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "FLWR_HOME": str(home)}
        return subprocess.Popen([sys.executable, "-c", "import time;time.sleep(60)"], env=environment)

    mine, other = start(tmp_path / "flower"), start(tmp_path / "flower-of-another")
    try:
        assert end_orphans(tmp_path / "flower") == 1
        assert mine.wait(10) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
