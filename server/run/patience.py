"""How long a coordinator waits for its sites, and with how few of them it goes on.

The operator's choice and part of no plan: it changes no privacy figure, because a site is charged for what it
began, whether or not anybody waited for the answer.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field


def quorum(sites: int) -> int:
    """Return the fewest updates that make an average: two thirds, and never one site of several.

    >>> [quorum(n) for n in (1, 2, 3, 4, 5, 10)]
    [1, 2, 2, 3, 4, 7]
    """
    return max(min(2, sites), math.ceil(2 * sites / 3))


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Wait:
    """How long one exchange waits.

    Attributes:
        deadline: seconds from its start after which whatever is missing is left out.
        pause: seconds before a site whose answer was lost is asked again; each further time twice as long. None:
            such a site is not asked again.
        enough: whether those that answered would do, so that nobody need wait for a site that is not connected.
        grace: seconds for the others from then on; None: until the deadline.
    """

    deadline: float
    pause: float | None = None
    enough: Callable[[], bool] = _never
    grace: float | None = None


class Patience(BaseModel):
    """Deadlines and quorum of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    arrival_seconds: float = Field(default=120.0, ge=0)  # for sites to be connected
    answer_seconds: float = Field(default=600.0, gt=0)  # to read file lists and ledgers, and sign
    round_seconds: float = Field(default=6 * 3600.0, gt=0)
    grace_seconds: float | None = Field(default=None, ge=0)  # for the rest, once a quorum has answered a round
    pause_seconds: float | None = Field(default=None, gt=0)  # before a lost question is first asked again
    quorum: int | None = Field(default=None, ge=1)  # fewest sites; None: all enrol, and `quorum` of a round

    def wait_for_answers(self, enough: Callable[[], bool] = _never) -> Wait:
        """Return how long a question waits that a site answers from its files."""
        return Wait(self.answer_seconds, self.pause_seconds, enough)

    def wait_for_updates(self, enough: Callable[[], bool]) -> Wait:
        """Return how long a round waits."""
        return Wait(self.round_seconds, self.pause_seconds, enough, self.grace_seconds)

    def sites_needed(self, wanted: int) -> int:
        """Return how many of the sites wanted must enrol and reserve."""
        return wanted if self.quorum is None else min(self.quorum, wanted)

    def updates_needed(self, members: int) -> int:
        """Return how many updates make a round: never one of several.

        >>> [Patience(quorum=chosen).updates_needed(4) for chosen in (None, 2, 1)]
        [3, 2, 2]
        """
        return quorum(members) if self.quorum is None else min(max(self.quorum, 2), members)


STRICT = Patience()  # a simulation's: all its sites are on one machine, so one that fails is a fault to be mended


def deployed(sites: int) -> dict[str, float | int]:
    """Return what a deployment of so many sites chooses where its operator does not."""
    return {"grace_seconds": 600.0, "pause_seconds": 5.0, "quorum": quorum(sites)}
