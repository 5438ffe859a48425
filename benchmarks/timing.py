"""Times of several ways to do one thing, taken in turn within one run.

Other work on the machine comes and goes; it hits neighbours in time alike. So the ways take turns, each turn
gives one ratio, and the median of the ratios is told. The order within a turn alternates.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """What one execution took, in seconds."""

    wall: float
    cpu: float  # over all threads of the process


def timed(action: Callable[[], None]) -> Cost:
    """Return what `action` takes."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu)


def in_turns(ways: Mapping[str, Callable[[], None]], turns: int) -> dict[str, list[Cost]]:
    """Return each way's costs over `turns` turns, after one that is not counted."""
    costs: dict[str, list[Cost]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name in ways if turn % 2 else reversed(list(ways)):
            cost = timed(ways[name])
            if turn:
                costs[name].append(cost)
    return costs


def median(costs: list[Cost]) -> Cost:
    """Return the medians of wall and CPU times, each by itself."""
    return Cost(statistics.median(c.wall for c in costs), statistics.median(c.cpu for c in costs))


def ratio(costs: list[Cost], base: list[Cost]) -> Cost:
    """Return the medians of the turns' ratios."""
    pairs = list(zip(costs, base, strict=True))
    return median([Cost(a.wall / b.wall, a.cpu / b.cpu) for a, b in pairs])
