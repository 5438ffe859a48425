"""How far a run is, for people and programs that watch it: a small file that always ends in a terminal state.

Nothing in it is derived from patients: phases, times, bytes, and the fixed sentences of `server.run.exchange`.
"""

import fcntl
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal

from pydantic import BaseModel, ConfigDict

from server.run.folder import RunFolder
from shared.errors import UsageError, WillisError
from shared.files import write_durably

SECONDS_BETWEEN_WRITES = 1.0  # but for phases, rounds and the end, which are written at once

State = Literal["running", "finished", "failed", "interrupted"]


class Status(BaseModel):
    """One look at a run. Times are in Unix seconds; counts are since `started`, when it was last (re)started.

    Attributes:
        state: `interrupted` is never written, but read where a running run has no process any more.
        phase: what it does, or was doing: enrolment, reservation, preparation, rounds, settlement, report.
        round: rounds done.
        rounds: rounds planned; 0 before there is a plan.
        code: of what stopped it, as in `shared.errors`; "" if nothing did.
        sentence: what stopped it, or what is left to do.
        sites: the last that is known of each.
        started: when this process began.
        updated: when this was written.
        ended: when it ended; None while it runs.
        round_seconds: how long the last round took; None before.
        mean_round_seconds: of the rounds since `started`; None before.
        bytes_out: sent to sites in rounds.
        bytes_in: received from sites in rounds.
        update_bytes: 4 x the trained parameters: the least that one update of one site can take.
        updates: updates averaged.
        refusals: updates and reservations that were refused or did not come.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: State = "running"
    phase: str = "start"
    round: int = 0
    rounds: int = 0
    code: str = ""
    sentence: str = ""
    sites: dict[str, str] = {}
    started: float
    updated: float
    ended: float | None = None
    round_seconds: float | None = None
    mean_round_seconds: float | None = None
    bytes_out: int = 0
    bytes_in: int = 0
    update_bytes: int = 0
    updates: int = 0
    refusals: int = 0

    @classmethod
    def read(cls, folder: RunFolder) -> "Status | None":
        """Return how far the run is; None if it was never started.

        Raises:
            UsageError: the file is damaged.
        """
        status = _read(folder)
        if status is None or status.state != "running" or _is_held(folder):
            return status
        status = _read(folder)  # once more: it may have ended in between
        if status is not None and status.state == "running":
            return status.model_copy(update={"state": "interrupted"})
        return status


class Watch:
    """Keeps the status of a run that is under way."""

    def __init__(self, folder: RunFolder, clock: Callable[[], float] = time.time) -> None:
        self._path = folder.status_file
        self._clock = clock
        self._written = 0.0
        self._lengths: list[float] = []  # of rounds, in seconds
        now = clock()
        self.status = Status(started=now, updated=now)
        self.tell()

    def tell(self, **changes: object) -> None:
        """Change the status and write it down."""
        self._change(changes)
        self._write()

    def site(self, name: str, what: str) -> None:
        """Change the last that is known of a site; written down with the next, or within a second or so."""
        self._change({"sites": dict(sorted((self.status.sites | {name: what}).items()))})
        if self._clock() >= self._written + SECONDS_BETWEEN_WRITES:
            self._write()

    def round_done(
        self, number: int, seconds: float, *, updates: int, refusals: int, sent: int, received: int
    ) -> None:
        """Take in a round: its number, its length, how many updates came in or not, and all bytes so far."""
        now = self.status
        self._lengths.append(seconds)
        self.tell(
            round=number,
            round_seconds=seconds,
            mean_round_seconds=statistics.fmean(self._lengths),
            updates=now.updates + updates,
            refusals=now.refusals + refusals,
            bytes_out=sent,
            bytes_in=received,
        )

    def _change(self, changes: dict[str, object]) -> None:
        self.status = self.status.model_copy(update={**changes, "updated": self._clock()})

    def _write(self) -> None:
        with suppress(OSError):  # what stops a run may be a full disk, and that is what must be told
            write_durably(self._path, self.status.model_dump_json(indent=2).encode() + b"\n")
            self._written = self.status.updated


@contextmanager
def conducted(folder: RunFolder) -> Iterator[Watch]:
    """Hold the run for the block, which conducts it, and record how it ended.

    Raises:
        UsageError: there is no run, or another process conducts it.
    """
    folder.job()
    with folder.lock_file.open("ab") as lock:
        if not _hold(lock.fileno()):
            raise UsageError(
                f"{folder.path}: another process conducts this run; wait for it to end, or stop it first"
            )
        watch = Watch(folder)
        try:
            yield watch
        except BaseException as err:
            code, sentence = _told(err)
            watch.tell(state="failed", code=code, sentence=sentence, ended=time.time())
            raise
        watch.tell(state="finished", ended=time.time())


def _told(err: BaseException) -> tuple[str, str]:
    """Return the code and the sentence for what stopped a run; what was not foreseen stays in the log."""
    if isinstance(err, WillisError):
        return err.code, str(err)
    if isinstance(err, Exception):
        return WillisError.code, "the coordinator met an unexpected error; its log says more"
    return "stopped", "the run was stopped; resume it to go on"


def _read(folder: RunFolder) -> Status | None:
    try:
        return Status.model_validate_json(folder.status_file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as err:
        raise UsageError(f"{folder.status_file}: damaged; resume the run, which writes it anew") from err


def _hold(lock: int) -> bool:
    """Take the lock; whoever only looks whether it is held has it for an instant, and is waited for."""
    for _ in range(20):
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.01)
    return False


def _is_held(folder: RunFolder) -> bool:
    try:
        with folder.lock_file.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
