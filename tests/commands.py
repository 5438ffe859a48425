"""`willis` as a person meets it: words in, exit status and lines out."""

import io
import re
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from client.app import records_of
from shared.command import main

_BAR = re.compile(r"\d+/\d+ \d+:\d\d:\d\d$")  # how a line of `shared.bars` ends


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit status, and its lines on stdout and stderr, progress bars apart."""

    status: int
    said: list[str]
    complained: list[str]

    def sentence(self) -> str:
        """Return the one line of a foreseen error, without its prefix; assert that it is the only one."""
        assert self.status == 1, self
        assert len(self.complained) == 1, self.complained
        (line,) = self.complained
        assert line.startswith("willis: ")
        return line.removeprefix("willis: ")


def willis(*words: object) -> Outcome:
    """Run `willis` with `words`; whatever is no foreseen error comes out as the exception it is."""
    records_of.cache_clear()  # a new process would have read nothing yet
    said, complained = io.StringIO(), io.StringIO()
    status = 0
    with (
        redirect_stdout(said),
        redirect_stderr(complained),
        patch.object(sys, "argv", ["willis", *map(str, words)]),
    ):
        try:
            main()
        except SystemExit as end:
            status = int(end.code or 0)
    return Outcome(status, _lines(said.getvalue()), _lines(complained.getvalue()))


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip() and not _BAR.search(line)]
