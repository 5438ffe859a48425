"""The one command, `willis`. Its sub-commands are entry points, imported only when one of them is called."""

import errno
import os
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import NoReturn

import click

from shared.errors import WillisError
from shared.printable import printable


class _Commands(click.Group):
    """Joins the sub-commands named in the group `willis.commands` of pyproject.toml."""

    def _found(self) -> dict[str, EntryPoint]:
        return {point.name: point for point in entry_points(group="willis.commands")}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(self._found())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        point = self._found().get(cmd_name)
        command = point.load() if point else None
        return command if isinstance(command, click.Command) else None


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def willis() -> None:
    """Train a federation of hospitals and publish private, labelled, synthetic brain images.

    \b
    A first run:
      willis phantoms tof cohorts --sites 4 --patients 12 --seed 1
      willis simulate run --recipe vessels-2d --cohorts cohorts --epsilon 8 --delta 1e-5 --seed 1
      willis audit verify run
    """


_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


def main() -> None:
    """Run `willis`; a foreseen error is one line on stderr and exit status 1."""
    # Idle OpenMP threads that spin slow a busy machine down many times; it is read when torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        willis()
    except WillisError as err:
        _fail(str(err))
    except OSError as err:
        if err.errno not in _NO_SPACE | _NOT_ALLOWED:
            raise
        where = err.filename or "a file"
        remedy = "free space" if err.errno in _NO_SPACE else "change its permissions or name another place"
        _fail(f"{where}: {err.strerror}; {remedy}, then try again (a run: with --resume)")
    except KeyboardInterrupt:
        sys.exit(130)


def _fail(text: str) -> NoReturn:
    said = printable(" ".join(text.splitlines()))  # one line, whatever a message quotes
    click.echo(f"willis: {said}", err=True)
    sys.exit(1)
