"""Follow a run that Flower has: a bar while it runs, and what is next when it ends."""

import time

from deploy import flower
from deploy.coordinator.home import CoordinatorHome
from deploy.coordinator.runs import Standing, standing
from deploy.coordinator.screen import what_next
from server.query.kept import answer_in_words
from server.run.status import Status
from shared.bars import bars
from shared.errors import UsageError
from shared.ledger.events import QUERY_PREFIX

_POLL_SECONDS = 1.0
_SILENCE_SECONDS = 90.0  # without a word of a run that was handed to Flower


def follow(home: CoordinatorHome, name: str) -> Standing:
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
                    return standing(home, name)
            elif time.time() - begun > _SILENCE_SECONDS:
                raise UsageError(f"{name} has not begun after {_SILENCE_SECONDS:.0f} s: {_told(home)}")
            time.sleep(_POLL_SECONDS)


def last_words(run: Standing) -> list[str]:
    """Return how a run ended and what to do, as lines."""
    status, path = run.status, run.folder.path
    if status.state == "finished" and run.job.recipe.startswith(QUERY_PREFIX):
        ended, draw = [*answer_in_words(run.folder), f"report    {path / 'report' / 'index.html'}"], []
    elif status.state == "finished":
        ended = [f"finished  {status.rounds} rounds", f"report    {path / 'report' / 'index.html'}"]
        draw = [f"          willis dataset publish {path} DATASET --count {run.job.cases}"]
    else:
        ended, draw = [f"{status.state:9} {status.code}: {status.sentence}"], []
    return [*ended, f"next      {what_next(run)}", *draw]


def _told(home: CoordinatorHome) -> str:
    """Return what Flower says of the newest run."""
    newest = max(flower.runs(home.flower), key=lambda run: run.id, default=None)
    said = f"Flower says {newest.status} {newest.details}".strip() if newest else "Flower knows of none"
    return f"{said}; see {home.logs}"
