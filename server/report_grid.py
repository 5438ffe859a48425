"""The participation chart: sites by rounds, as a grid that merges what is equal and stays legible.

A full cell: averaged in every round it stands for. A half one: some updates were refused. Empty: absent in some.
"""

from collections.abc import Sequence
from typing import Any

from server import charts

CELLS, ROWS = 60, 24
_LEFT, _ROW = 150.0, 20.0
_REFUSED = charts.ALARM

State = int  # 0 averaged, 1 absent, 2 refused: the worst of the rounds a cell stands for


def participation_chart(rows: Sequence[dict[str, Any]], rounds: int) -> str:
    """Return the grid; rows with the most missed rounds first when there are too many; "" without a round."""
    if not rows or not rounds:
        return ""
    alike: dict[tuple[State, ...], list[dict[str, Any]]] = {}
    for row in rows:
        alike.setdefault(_states(row, rounds), []).append(row)
    drawn = sorted(alike.items(), key=lambda item: -sum(item[0]))[:ROWS]
    names = (("averaged", charts.MAIN, "none"), ("refused", _REFUSED, "none"), ("absent", "#ffffff", charts.INK))
    parts = charts.legend(names)
    for index, (states, same) in enumerate(drawn):
        y = 34 + _ROW * index
        more = f" +{len(same) - 1}" if len(same) > 1 else ""
        parts.append(
            charts.text(_LEFT - 8, y + 13, charts.short(same[0]["site"], 18 - len(more)) + more, anchor="end")
        )
        parts += _cells(states, y)
    bottom = 34 + _ROW * len(drawn)
    parts.append(charts.text(_LEFT, bottom + 16, "round 1"))
    parts.append(charts.text(charts.WIDTH - 12, bottom + 16, str(rounds), anchor="end"))
    left_out = len(alike) - len(drawn)
    note = f", {left_out} more rows in the table" if left_out else ""
    return charts.svg(f"Who was averaged in which round{note}", bottom + 24, parts)


def _states(row: dict[str, Any], rounds: int) -> tuple[State, ...]:
    """Return the state of each cell; a cell stands for equally many rounds, to one."""
    cells = min(CELLS, rounds)
    states = [0] * cells
    for first, last, why in row["missed"]:
        for cell in range(_cell(first, rounds, cells), _cell(last, rounds, cells) + 1):
            states[cell] = max(states[cell], 2 if why == "refused" else 1)
    return tuple(states)


def _cell(number: int, rounds: int, cells: int) -> int:
    return min(cells - 1, (number - 1) * cells // rounds)


def _cells(states: Sequence[State], y: float) -> list[str]:
    """Draw runs of equal cells as one box: full height averaged, half refused, a thin base absent."""
    unit = (charts.WIDTH - 12 - _LEFT) / len(states)
    parts, start = [], 0
    for index in range(1, len(states) + 1):
        if index == len(states) or states[index] != states[start]:
            x, width = _LEFT + start * unit, (index - start) * unit
            top, fill = ((1, charts.MAIN), (16, charts.INK), (9, _REFUSED))[states[start]]
            parts.append(charts.box(x, y + top, width - 0.6, 17 - top, fill))
            start = index
    return parts
