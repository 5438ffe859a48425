"""Follow a run that Flower has: bars while it runs, and what is next when it ends."""

import time

from deploy import flower
from deploy.coordinator.home import CoordinatorHome
from server.run.status import Status
from shared.bars import bars
from shared.errors import UsageError

_POLL_SECONDS = 1.0
_SILENCE_SECONDS = 90.0  # without a word of a run that was handed to Flower


def follow(home: CoordinatorHome, name: str) -> Status:
    """Show a run's progress until it ends; return how it ended.

    Raises:
        UsageError: it never began, as Flower tells.
    """
    folder = home.run(name)
    begun = time.time()
    with bars() as show:
        while True:
            status = Status.read(folder)
            if status is not None and status.updated >= begun - _POLL_SECONDS:
                show("rounds", status.round, max(status.rounds, 1))
                if status.state != "running":
                    return status
            elif time.time() - begun > _SILENCE_SECONDS:
                raise UsageError(f"{name} has not begun after {_SILENCE_SECONDS:.0f} s: {_told(home)}")
            time.sleep(_POLL_SECONDS)


def _told(home: CoordinatorHome) -> str:
    """Return what Flower says of the newest run."""
    newest = max(flower.runs(home.flower), key=lambda run: run.id, default=None)
    said = f"Flower says {newest.status} {newest.details}".strip() if newest else "Flower knows of none"
    return f"{said}; see {home.logs}"


def what_next(home: CoordinatorHome, name: str, status: Status) -> list[str]:
    """Return how a run ended and what to do, as lines."""
    folder = home.run(name)
    if status.state == "finished":
        return [
            f"finished  {status.rounds} rounds",
            f"report    {folder.path / 'report' / 'index.html'}",
            f"next      willis audit verify {folder.path}",
            f"          willis sample {folder.path} DATASET --count 200",
        ]
    return [
        f"{status.state:9} {status.code}: {status.sentence}",
        f"next      mend it, then willis coordinator --home {home.path} resume {name}",
    ]
