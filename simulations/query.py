"""`willis query`: figures on private patients, noised, reserved and recorded like any other spending."""

import click

from shared.lazy_group import LazyGroup

_COMMANDS = {
    "dice": "simulations.query_commands:dice",
    "distance": "simulations.query_commands:distance",
    "compare": "server.query.command:compare",
}

_EPILOG = """\b
Examples:
  willis query dice answer --of run --cohorts held-out --epsilon 1
  willis query distance answer --of run --cohorts cohorts --held-out held-out --epsilon 1
"""


@click.group(cls=LazyGroup, commands=_COMMANDS, epilog=_EPILOG)
def query() -> None:
    """Ask something of private patients: the answer is noised, and they pay for it in the ledger.

    Each hospital sums over its own patients and releases the noisy sum, once; the un-noised figure never leaves
    it, and is not kept there. What a hospital's patients may be asked, its policy says (`queries`).
    """
