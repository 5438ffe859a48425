"""The mark inside every image: that no scanner made it, of which run it is, and on which log its privacy rests."""

from dataclasses import dataclass

from shared.ledger.log import Head
from shared.ledger.release_rules import kind_of
from shared.ledger.view import RunView


@dataclass(frozen=True)
class Mark:
    """What the header of an image says: at most 79 bytes in `description`, any length in `comment`."""

    description: str
    comment: str


def mark_of(view: RunView, head: Head) -> Mark:
    """Return the mark of a run's images; `head` is of the log before the run's first release."""
    kind = "SYNTHETIC" if kind_of(view) == "release" else "SIMULATION, NOT A RELEASE"
    run = view.run.run
    return Mark(
        description=f"{kind} willis {run[:12]}",
        comment=f"{kind}\nmade by willis, run {run}\nledger of {head.size} entries, Merkle root {head.root}\n",
    )
