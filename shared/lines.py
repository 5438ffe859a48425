"""Where a file that people edit says something, for errors that name the line."""


def line_of(text: str, key: str) -> int | None:
    """Return the number of the line of a TOML text that sets `key`, counted from 1 as editors do.

    >>> line_of("a = 1\\n# b = 2\\nb = 3", "b")
    3
    """
    for number, line in enumerate(text.split("\n"), start=1):
        if key and line.split("=")[0].strip().strip("\"'") == key:
            return number
    return None
