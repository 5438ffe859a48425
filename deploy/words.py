"""Times and sizes as people read them."""

import math
from datetime import UTC, datetime


def duration(seconds: float) -> str:
    """Return a time in its two largest units, rounded up.

    >>> duration(45), duration(200), duration(12_000), duration(190_000)
    ('45 s', '4 min', '3 h 20 min', '2 d 5 h')
    """
    if seconds < 100:
        return f"{math.ceil(seconds)} s"
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    hours = math.ceil(minutes / 60)
    return f"{hours // 24} d {hours % 24} h"


def size(count: float) -> str:
    """Return a number of bytes with a decimal prefix.

    >>> size(999), size(4_190_000), size(2.5e9)
    ('999 B', '4.19 MB', '2.50 GB')
    """
    for prefix, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= factor:
            return f"{count / factor:.2f} {prefix}B"
    return f"{count:.0f} B"


def moment(seconds: float) -> str:
    """Return a time since 1970 as date and time of day in UTC.

    >>> moment(1_700_000_000)
    '2023-11-14 22:13 UTC'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
