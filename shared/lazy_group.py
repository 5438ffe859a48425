"""A group of commands whose modules are imported only when one of them is called."""

from collections.abc import Mapping
from importlib import import_module

import click


class LazyGroup(click.Group):
    """Commands by name, each as `module:function`; beside them, commands added as to any group."""

    def __init__(self, *args: object, commands: Mapping[str, str], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # as click's own
        self._places = commands

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order given; those of commands that were added come first."""
        return [*super().list_commands(ctx), *self._places]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; import its module where it is named by place."""
        if cmd_name not in self._places:
            return super().get_command(ctx, cmd_name)
        module, _, name = self._places[cmd_name].partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command
