"""What somebody else wrote, fit for a terminal: nothing in it moves the cursor or hides a line."""


def printable(text: str) -> str:
    """Return `text` as one line, with a space for every character that is not to be seen.

    >>> printable("✗ a file \\r\\x1b[2K✓ fine")
    '✗ a file   [2K✓ fine'
    """
    return "".join(c if c.isprintable() else " " for c in text)
