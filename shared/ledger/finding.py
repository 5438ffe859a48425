"""The form in which verification answers: one question about a run, one line."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.printable import printable

_MARKS = {True: "✓", False: "✗", None: "–"}
SHOWN = 3  # problems named in one finding; the rest is counted


@dataclass(frozen=True)
class Finding:
    """The answer to one question about a run.

    `passed` is None where the question does not arise, or cannot be answered from what is at hand; such a
    finding does not count as passed.
    """

    check: str
    passed: bool | None
    detail: str

    @property
    def line(self) -> str:
        """The finding as a person reads it: one line, whatever the names and words of others in it hold."""
        return printable(f"{_MARKS[self.passed]} {self.check}: {self.detail}")

    @classmethod
    def of(cls, check: str, problems: Sequence[str], fine: str) -> "Finding":
        """Return a finding that passed, saying `fine`, unless there are problems."""
        if not problems:
            return cls(check, True, fine)
        more = len(problems) - SHOWN
        return cls(check, False, "; ".join(problems[:SHOWN]) + (f"; and {more} more" if more > 0 else ""))
