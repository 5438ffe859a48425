"""The participation chart: sites by rounds, as a grid that merges what is equal and stays legible.

A cell stands for one or more rounds. Blue, from the bottom, is the share in which the site was averaged; red on
top of it the share in which its update was refused; what is left empty, the share in which it was absent.
"""

from collections.abc import Sequence
from typing import Any

from server.report import svg

CELLS, ROWS = 50, 16
_LEFT, _ROW, _FULL = 150.0, 20.0, 16

Cell = tuple[int, int]  # heights of blue and red, of _FULL


def participation_chart(rows: Sequence[dict[str, Any]], rounds: int) -> str:
    """Return the grid; rows with the most missed rounds first when there are too many; "" without a round."""
    if not rows or not rounds:
        return ""
    alike: dict[tuple[Cell, ...], list[dict[str, Any]]] = {}
    for row in rows:
        alike.setdefault(_heights(row, rounds), []).append(row)
    drawn = sorted(alike.items(), key=lambda item: sum(blue for blue, _ in item[0]))[:ROWS]
    names = (
        ("averaged", svg.MAIN, "none"),
        ("refused", svg.ALARM, "none"),
        ("absent", "#ffffff", svg.INK),
    )
    parts = svg.legend(names)
    for index, (cells, same) in enumerate(drawn):
        y = 34 + _ROW * index
        more = f" +{len(same) - 1}" if len(same) > 1 else ""
        parts.append(svg.text(_LEFT - 8, y + 13, svg.short(same[0]["site"], 18 - len(more)) + more, anchor="end"))
        parts += _draw(cells, y)
    bottom = 34 + _ROW * len(drawn)
    parts.append(svg.text(_LEFT, bottom + 16, "round 1"))
    parts.append(svg.text(svg.WIDTH - 12, bottom + 16, str(rounds), anchor="end"))
    left_out = len(alike) - len(drawn)
    note = f", {left_out} more rows in the table" if left_out else ""
    return svg.svg(f"Who was averaged in which round{note}", bottom + 24, parts)


def _heights(row: dict[str, Any], rounds: int) -> tuple[Cell, ...]:
    """Return the heights of each cell, rounded so that no missed round disappears."""
    cells = min(CELLS, rounds)
    missed = {"refused": [0] * cells, "absent": [0] * cells}
    size = [0] * cells
    for number in range(1, rounds + 1):
        size[(number - 1) * cells // rounds] += 1
    for first, last, why in row["missed"]:
        for number in range(first, last + 1):
            missed[why][min(cells - 1, (number - 1) * cells // rounds)] += 1
    return tuple(map(_cell, missed["refused"], missed["absent"], size))


def _cell(refused: int, absent: int, size: int) -> Cell:
    blue = max(0, size - refused - absent) * _FULL // size
    red = min(_FULL - blue, max(2, refused * _FULL // size)) if refused else 0
    return blue, red


def _draw(cells: Sequence[Cell], y: float) -> list[str]:
    """Draw runs of equal cells as one box for each colour."""
    unit = (svg.WIDTH - 12 - _LEFT) / len(cells)
    parts, start = [svg.rule(_LEFT, y + 18, svg.WIDTH - 12, y + 18, svg.INK)], 0
    for index in range(1, len(cells) + 1):
        if index == len(cells) or cells[index] != cells[start]:
            x, width = _LEFT + start * unit, (index - start) * unit
            blue, red = cells[start]
            if blue:
                parts.append(svg.box(x, y + 17.5 - blue, width, blue, svg.MAIN))
            if red:
                parts.append(svg.box(x, y + 17.5 - blue - red, width, red, svg.ALARM))
            start = index
    return parts
