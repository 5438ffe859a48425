"""Progress bars for long work, on stderr, so that what a command prints can be piped."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:  # brings torch, which commands that only read do without
    from shared.recipes.base import Progress as Report


@contextmanager
def bars() -> Iterator["Report"]:
    """Yield a function (what, done, total) that keeps one bar for each `what`."""
    tasks: dict[str, TaskID] = {}
    columns = TextColumn("{task.description:32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True)) as display:

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = display.add_task(what, total=total)
            display.update(tasks[what], completed=done, total=total)

        yield report
