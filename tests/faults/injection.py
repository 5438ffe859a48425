"""Faults at system calls, placed with `strace`: a forked process is killed, or told of an error, at the N-th call.

Imports are done before the fork, so every call that is counted belongs to what is tested.
"""

import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CALLS = ("openat", "pwrite64", "write", "fdatasync", "fsync", "ftruncate", "unlink", "rename")
FAULTS = ("signal=KILL", "error=EIO", "error=ENOSPC")
Ack = Callable[[str], None]
Scenario = Callable[[Path, Ack], None]


@dataclass(frozen=True)
class Fault:
    """What happens at which call: the `count`-th of its kind."""

    call: str
    kind: str
    count: int


def play(scenario: Scenario, folder: Path, options: list[str] | None) -> list[str]:
    """Run `scenario` in a forked process, under strace if there are `options`; return what it acknowledged.

    A step is acknowledged when its function has returned. A foreseen error ends the process quietly; any other
    is acknowledged as "crashed ...".

    Raises:
        RuntimeError: strace could not attach.
    """
    told, say = os.pipe()
    wait, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(told)
        os.close(go)
        os.read(wait, 1)
        _run(scenario, folder, say)
    os.close(say)
    os.close(wait)
    tracer = _attach(child, options) if options is not None else None
    os.write(go, b"g")
    os.close(go)
    with os.fdopen(told, "rb") as file:
        acknowledged = file.read().decode().splitlines()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        acknowledged.append(f"crashed by signal {os.WTERMSIG(status)}")
    if tracer is not None:
        tracer.communicate()
    return acknowledged


def _run(scenario: Scenario, folder: Path, say: int) -> None:
    from shared.errors import WillisError

    def ack(what: str) -> None:
        os.write(say, what.encode() + b"\n")

    try:
        scenario(folder, ack)
    except (WillisError, OSError):
        os._exit(3)  # what a person would be told, or a site would answer as a failure
    except BaseException as err:
        os.write(say, f"crashed {err!r}\n".encode())
        os._exit(4)
    os._exit(0)


def _attach(child: int, options: list[str]) -> subprocess.Popen[str]:
    command = ["strace", "-f", "-p", str(child), *options]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    assert tracer.stderr is not None
    line = tracer.stderr.readline()
    if "attached" not in line:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise RuntimeError(f"strace cannot attach here: {line.strip()}")
    return tracer


def calls_of(scenario: Scenario, folder: Path, trace: Path) -> Counter[str]:
    """Return how often an undisturbed run of `scenario` makes each call."""
    play(scenario, folder, ["-o", str(trace), "-e", f"trace={','.join(CALLS)}"])
    return Counter(re.findall(rf"^\d+\s+({'|'.join(CALLS)})\(", trace.read_text(), re.MULTILINE))


def faults_of(calls: Counter[str], most: int) -> list[Fault]:
    """Return every fault at every call, or at `most` calls of a kind spread over the run."""
    found = []
    for call, total in calls.items():
        counts = sorted({1 + (i * total) // min(most, total) for i in range(min(most, total))})
        found += [Fault(call, kind, count) for kind in FAULTS for count in counts]
    return found


def play_with(scenario: Scenario, folder: Path, fault: Fault) -> list[str]:
    """Run `scenario` with one fault; return what it acknowledged."""
    inject = f"inject={fault.call}:{fault.kind}:when={fault.count}"
    return play(scenario, folder, ["-o", "/dev/null", "-e", f"trace={fault.call}", "-e", inject])
