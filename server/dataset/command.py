"""`willis dataset`: from a finished run to files that anyone may use, and back to proof."""

import click

from shared.lazy_group import LazyGroup

_COMMANDS = {
    "publish": "server.dataset.commands.publishing:publish",
    "approve": "server.dataset.commands.approving:approve",
    "release": "server.dataset.commands.approving:release",
    "steward": "server.dataset.commands.stewarding:steward",
    "verify": "server.dataset.commands.verifying:verify",
    "pack": "server.dataset.commands.packing:pack",
    "dicom": "server.dataset.commands.exporting:dicom",
}

_EPILOG = """\b
Example:
  willis dataset publish run more --count 1000
  willis dataset verify more
"""


@click.group(cls=LazyGroup, commands=_COMMANDS, epilog=_EPILOG)
def dataset() -> None:
    """Publish synthetic, labelled images of a private run, and check what others published."""
