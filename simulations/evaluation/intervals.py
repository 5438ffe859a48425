"""Intervals as machines and people read them."""

from shared.canonical import Json
from shared.evaluation.bootstrap import Interval


def for_machines(interval: Interval | None) -> Json:
    """Return estimate and 95 % interval by name."""
    if interval is None:
        return None
    return {"mean": interval.estimate, "low": interval.low, "high": interval.high, "level": 0.95}


def for_people(interval: Interval | None) -> str:
    """Return a difference with its sign and interval, or a dash."""
    if interval is None:
        return "-"
    return f"{interval.estimate:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"
