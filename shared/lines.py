"""Where a TOML file that people edit says something, for errors that name the line."""

import re
from pathlib import Path


def line_of(text: str, key: str) -> int | None:
    """Return the number of the line that sets `key` or opens a table of that name, counted from 1.

    >>> line_of("a = 1\\n# b = 2\\n'b' = 3", "b")
    3
    """
    sets = re.compile(rf"\s*\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=.\]]")
    numbered = enumerate(text.split("\n"), start=1)
    return next((number for number, line in numbered if key and sets.match(line)), None)


def place_of(path: Path, text: str, key: str) -> str:
    """Return `path:line` of the line that sets `key`, as editors open it; `path` where there is none."""
    line = line_of(text, key)
    return f"{path}:{line}" if line else str(path)
