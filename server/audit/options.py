"""The options by which `willis audit fetch` and `watch` find the service, and are known there."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_Command = TypeVar("_Command", bound=Callable[..., Any])


def _public_key(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """Let through a public key in hexadecimal."""
    if value is not None and not re.fullmatch("[0-9a-f]{64}", value.lower()):
        raise click.BadParameter("a public key is 64 hexadecimal digits")
    return value.lower() if value else None


_OPTIONS = (
    click.option("--certificate", type=_FILE, required=True, help="Your certificate (PEM)."),
    click.option("--key", type=_FILE, required=True, help="The key of that certificate (PEM)."),
    click.option("--ca", type=_FILE, required=True, help="The centre's authority (PEM)."),
    click.option(
        "--pin", metavar="PUBLIC_KEY", callback=_public_key, help="The coordinator's key, if you know it."
    ),
)


def service_options(command: _Command) -> _Command:
    """Add the options to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
