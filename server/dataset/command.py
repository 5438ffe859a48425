"""`willis dataset`: from a finished run to files that anyone may use, and back to proof."""

import click

from shared.lazy_group import LazyGroup

_COMMANDS = {
    "publish": "server.dataset.publishing:publish",
    "approve": "server.dataset.approving:approve",
    "release": "server.dataset.approving:release",
    "steward": "server.dataset.stewarding:steward",
}

_EPILOG = """\b
Example:
  willis dataset publish run more --count 1000
"""


@click.group(cls=LazyGroup, commands=_COMMANDS, epilog=_EPILOG)
def dataset() -> None:
    """Publish synthetic, labelled images of a private run, and check what others published."""
