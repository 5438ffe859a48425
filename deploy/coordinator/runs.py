"""The runs of a federation, as their folders tell them."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Literal, get_args

from pydantic import BaseModel

from deploy.coordinator.home import CoordinatorHome
from server.run.folder import RunFolder
from server.run.job import Job
from shared.errors import UsageError

State = Literal["running", "finished", "failed", "interrupted"]
STATES: tuple[State, ...] = get_args(State)


class Status(BaseModel):
    """How a run stands, as the process that runs it wrote it down; times in seconds since 1970."""

    state: State
    phase: str
    round: int = 0
    rounds: int = 0
    code: str = ""  # of the error that ended it
    sentence: str = ""
    sites: Mapping[str, str] = {}  # how each stands, by name
    started: float = 0
    updated: float = 0
    ended: float | None = None
    round_seconds: tuple[float, ...] = ()
    bytes_out: int = 0
    bytes_in: int = 0
    refusals: Mapping[str, int] = {}  # by code

    @classmethod
    def read(cls, folder: RunFolder) -> "Status":
        """Return what was written last; a run of which nothing was written was interrupted as it began."""
        path = folder.path / "status.json"
        if not path.exists():
            return cls(state="interrupted", phase="start", sentence="nothing was written of it")
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValueError as err:
            raise UsageError(f"{path}: damaged; `willis coordinator resume` writes it again") from err


@dataclass(frozen=True)
class Standing:
    """A run, what was asked of it, and how it stands."""

    name: str
    job: Job
    status: Status

    @property
    def last_seconds(self) -> float | None:
        """Time of the last round."""
        return self.status.round_seconds[-1] if self.status.round_seconds else None

    @property
    def mean_seconds(self) -> float | None:
        """Mean time of a round so far."""
        return fmean(self.status.round_seconds) if self.status.round_seconds else None

    @property
    def seconds_left(self) -> float | None:
        """What the rounds that are left will take at the mean of those done; None where nothing is known."""
        if self.status.state != "running" or self.mean_seconds is None:
            return None
        return self.mean_seconds * max(0, self.status.rounds - self.status.round)


def standings(home: CoordinatorHome) -> list[Standing]:
    """Return every run, in order of name.

    Raises:
        UsageError: a run's files are damaged.
    """
    return [_standing(folder) for folder in home.runs()]


def standing(home: CoordinatorHome, name: str) -> Standing:
    """Return one run.

    Raises:
        UsageError: there is none of this name, or its files are damaged.
    """
    known = [folder.path.name for folder in home.runs()]
    if name not in known:
        there = f"there are {', '.join(known)}" if known else "there is none yet"
        raise UsageError(f"{home.path}: no run is called {name}; {there}")
    return _standing(home.run(name))


def _standing(folder: RunFolder) -> Standing:
    return Standing(folder.path.name, folder.job(), Status.read(folder))
