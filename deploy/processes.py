"""Keep programs running: start in order, restart what dies with growing pauses, stop all without orphans."""

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deploy.logs import pump
from shared.errors import UsageError

READY_SECONDS = 60.0  # for a program to come up; Flower's take about 2
STOP_SECONDS = 10.0  # before a program that does not end is killed
STEADY_SECONDS = 60.0  # up for as long, a program that dies is restarted without a pause
LONGEST_PAUSE = 60.0
LOOPBACK = "127.0.0.1"
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(frozen=True)
class Program:
    """One program to keep running.

    Attributes:
        name: in the log.
        command: words.
        environment: all of it.
        port: which answers once the program is ready; None if it has none.
        address: of the port.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    port: int | None = None
    address: str = LOOPBACK


@dataclass
class _Running:
    program: Program
    process: subprocess.Popen[str] | None = None
    since: float = 0.0
    pause: float = 0.0
    due: float = 0.0


class Supervisor:
    """Runs programs until it is told to stop, by a signal or by `stop`."""

    def __init__(self, programs: Sequence[Program], *, first_pause: float = 1.0) -> None:
        self._running = [_Running(program) for program in programs]
        self._first_pause = first_pause
        self._stopping = threading.Event()
        self._restarting: set[str] = set()
        self._log = logging.getLogger("willis.up")

    def start(self) -> None:
        """Start all programs, each when the one before it is ready.

        Raises:
            UsageError: a port is taken, or a program does not come up; all are stopped again.
        """
        for one in self._running:
            if one.program.port and answers(one.program.port, one.program.address):
                self.stop_all()
                raise UsageError(
                    f"port {one.program.port} of {one.program.address} is taken, and {one.program.name} needs it; "
                    "stop what has it (an `up` that still runs?) or choose another in the settings"
                )
            self._spawn(one)
            if not self._comes_up(one):
                self.stop_all()
                raise UsageError(f"{one.program.name} did not come up; its last lines above say why")

    def heed_signals(self) -> None:
        """Let SIGTERM and SIGINT stop the programs in order."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())

    def watch(self, tick: Callable[[], None], *, every: float = 1.0) -> None:
        """Look after the programs, calling `tick` in between, until `stop` or a signal; then stop all."""
        try:
            while not self._stopping.wait(every):
                for one in self._running:
                    self._look_after(one)
                tick()
        finally:
            self.stop_all()

    def stop(self) -> None:
        """Ask `watch` to end."""
        self._stopping.set()

    def restart(self, name: str) -> None:
        """Restart one program at once, as a new certificate needs it."""
        self._restarting.add(name)

    def stop_all(self) -> None:
        """Stop all programs and whatever they started, the last first."""
        for one in reversed(self._running):
            self._end(one)

    def _look_after(self, one: _Running) -> None:
        now = time.monotonic()
        if one.program.name in self._restarting:
            self._restarting.discard(one.program.name)
            self._end(one)
            one.pause, one.due = 0.0, now
        if one.process is not None:
            status = one.process.poll()
            if status is None:
                return
            steady = now - one.since > STEADY_SECONDS
            one.pause = 0.0 if steady else min(LONGEST_PAUSE, 2 * one.pause or self._first_pause)
            one.due = now + one.pause
            self._log.warning("%s ended with status %d; restarted in %.0f s", one.program.name, status, one.pause)
            self._end(one)
        if now >= one.due:
            self._spawn(one)

    def _spawn(self, one: _Running) -> None:
        one.process = subprocess.Popen(
            list(one.program.command),
            env=dict(one.program.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # its own group, so that what it starts can be stopped with it
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        one.since = time.monotonic()
        assert one.process.stdout is not None
        logger = logging.getLogger(f"willis.{one.program.name}")
        threading.Thread(target=pump, args=(one.process.stdout, logger), daemon=True).start()

    def _comes_up(self, one: _Running) -> bool:
        assert one.process is not None
        end = time.monotonic() + READY_SECONDS
        while one.program.port and not answers(one.program.port, one.program.address):
            if one.process.poll() is not None or time.monotonic() > end or self._stopping.is_set():
                return False
            time.sleep(0.1)
        return True

    def _end(self, one: _Running) -> None:
        process, one.process = one.process, None
        if process is None:
            return
        for number in map(int, (signal.SIGTERM, signal.SIGKILL)):
            end = time.monotonic() + STOP_SECONDS
            while _reached(process.pid, number) and time.monotonic() < end:
                number = 0  # asked once; then looked at until the whole group is gone
                process.poll()
                time.sleep(0.05)
        process.wait()


def _reached(group: int, number: int) -> bool:
    """Send a signal to a group of processes (0: none, only look); return whether there is one left."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def answers(port: int, address: str = LOOPBACK) -> bool:
    """Whether something listens at a port."""
    try:
        with socket.create_connection((address, port), timeout=1.0):
            return True
    except OSError:
        return False


def _die_with_parent() -> None:
    """Have the kernel stop this program when `up` is killed: an orphan would keep its port and its keys in use."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
