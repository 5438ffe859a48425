"""The runs of a federation, as their folders tell them."""

from dataclasses import dataclass
from typing import get_args

from deploy.coordinator.home import CoordinatorHome
from server.run.folder import RunFolder
from server.run.job import Job
from server.run.status import State, Status
from shared.errors import UsageError

STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Standing:
    """A run, what was asked of it, and how it stands."""

    folder: RunFolder
    job: Job
    status: Status

    @property
    def name(self) -> str:
        """The run's name: that of its folder."""
        return self.folder.path.name

    @property
    def seconds_left(self) -> float | None:
        """What the rounds that are left will take at the mean of those done; None where nothing is known."""
        status = self.status
        if status.state != "running" or status.mean_round_seconds is None:
            return None
        return status.mean_round_seconds * max(0, status.rounds - status.round)


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
    never = Status(state="interrupted", sentence="it was never started", started=0, updated=0)
    return Standing(folder, folder.job(), Status.read(folder) or never)
