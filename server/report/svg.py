"""Pieces of inline SVG charts: no script, no font, no network; the same numbers give the same bytes.

Series carry their names beside them, and each has its own dash or place, so that no meaning rests on colour.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 540, 330  # user units; the page scales them
LEFT, RIGHT, TOP, BOTTOM = 54, 148, 18, 48
INK, SOFT, RULE, ALARM, MAIN, PAST = "#1b1f24", "#545d68", "#d8dde3", "#a61b1b", "#0b5fa5", "#46505a"
COLOURS = (MAIN, "#a8480a", "#00704d", "#8a3b78", "#6b5900", PAST)
DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 4")
_LABEL_GAP = 15  # least distance between labels

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One named line: points (x, y) in order of x."""

    name: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Axis:
    """An axis: its title, its ticks as (value, label), and whether values are spaced by their logarithm."""

    title: str
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def share(self, value: float) -> float:
        """Return where `value` lies between the first tick (0) and the last (1)."""
        place = math.log10 if self.log else float
        low, high = place(self.ticks[0][0]), place(self.ticks[-1][0])
        return (place(value) - low) / (high - low)


def counting(title: str, top: float, *, whole: bool = False) -> Axis:
    """Return an axis from 0 to a round number at or above `top`."""
    return Axis(title, tuple((value, f"{value:g}") for value in ticks(top, whole=whole)))


def ticks(top: float, *, whole: bool = False) -> list[float]:
    """Return 0 and some round numbers above it, the last at or above `top`.

    >>> ticks(9.3)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    raw = top / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    if whole:
        step = max(1.0, math.ceil(step))
    return [round(i * step, 10) for i in range(math.ceil(top / step - 1e-9) + 1)]


def line_chart(title: str, lines: Sequence[Line], levels: Sequence[tuple[str, float]], x: Axis, y: Axis) -> str:
    """Return an SVG of `lines`, with `levels` (name, height) as dashed horizontals."""
    parts = _frame(x, y)
    for _, height in levels:
        parts.append(_path([(_x(x, x.ticks[0][0]), _y(y, height)), (_x(x, x.ticks[-1][0]), _y(y, height))], 0))
    for index, line in enumerate(lines):
        track = [(_x(x, a), _y(y, b)) for a, b in line.points]
        parts.append(_path(track, index + 1))
        parts += [dot(a, b, COLOURS[index % len(COLOURS)]) for a, b in track]
    ends = [
        (line.name, line.points[-1][1], COLOURS[i % len(COLOURS)]) for i, line in enumerate(lines) if line.name
    ]
    ends += [(name, height, ALARM) for name, height in levels]
    return svg(title, HEIGHT, [*parts, *_end_labels(ends, y)])


def _x(axis: Axis, value: float) -> float:
    return LEFT + axis.share(value) * (WIDTH - LEFT - RIGHT)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - axis.share(value) * (HEIGHT - TOP - BOTTOM)


def _frame(x: Axis, y: Axis) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for value, name in y.ticks:
        height = _y(y, value)
        parts.append(rule(LEFT, height, right, height, RULE))
        parts.append(text(LEFT - 8, height + 4, name, anchor="end"))
    for value, name in x.ticks:
        parts.append(text(_x(x, value), bottom + 18, name, anchor="middle"))
    parts.append(rule(LEFT, bottom, right, bottom, INK))
    parts.append(text((LEFT + right) / 2, HEIGHT - 8, x.title, anchor="middle"))
    middle = (TOP + bottom) / 2
    parts.append(text(14, middle, y.title, anchor="middle", more=f' transform="rotate(-90 14 {middle:.1f})"'))
    return parts


def _end_labels(ends: Sequence[tuple[str, float, str]], y: Axis) -> list[str]:
    """Name each line at its end, moved down where names would touch."""
    parts, last = [], -math.inf
    for name, height, colour in sorted(ends, key=lambda end: -end[1]):
        last = max(_y(y, height) + 4, last + _LABEL_GAP)
        parts.append(text(WIDTH - RIGHT + 8, last, short(name, 17), fill=colour, weight="600"))
    return parts


def _path(track: Sequence[Point], kind: int) -> str:
    """Draw a track in user units; kind 0 is a level, 1 and up are lines."""
    colour = COLOURS[(kind - 1) % len(COLOURS)] if kind else ALARM
    dash = DASHES[(kind - 1) % len(DASHES)] if kind else "6 5"
    stroke = f'stroke="{colour}" stroke-width="{2.2 if kind else 1.6}"'
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in track)
    return f'<polyline points="{points}" fill="none" {stroke}{dashed}/>'


def rule(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    """Draw a straight line."""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width:g}"/>'


def dot(x: float, y: float, colour: str, radius: float = 3) -> str:
    """Draw a filled dot."""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}"/>'


def box(x: float, y: float, width: float, height: float, fill: str, stroke: str = "none") -> str:
    """Draw a rectangle."""
    shape = f'x="{x:.1f}" y="{y:.1f}" width="{max(0.0, width):.1f}" height="{height:g}"'
    return f'<rect {shape} fill="{fill}"' + (f' stroke="{stroke}"' if stroke != "none" else "") + "/>"


def text(
    x: float, y: float, words: str, *, anchor: str = "start", fill: str = INK, weight: str = "400", more: str = ""
) -> str:
    """Write `words`, escaped."""
    look = f' text-anchor="{anchor}"' * (anchor != "start") + f' font-weight="{weight}"' * (weight != "400")
    colour = f' fill="{fill}"' * (fill != INK)
    return f'<text x="{x:.1f}" y="{y:.1f}"{look}{colour}{more}>{escape(words)}</text>'


def legend(entries: Sequence[tuple[str, str, str]], y: float = 6) -> list[str]:
    """Draw a row of (name, fill, stroke)."""
    parts, x = [], 12.0
    for name, fill, stroke in entries:
        parts.append(box(x, y, 13, 13, fill, stroke))
        parts.append(text(x + 19, y + 11, name))
        x += 36 + 7.6 * len(name)
    return parts


def svg(title: str, height: float, parts: Sequence[str]) -> str:
    """Wrap parts as one image with a title for those who cannot see it."""
    shape = f'viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(title)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {shape} font-size="14">\n' + "\n".join(parts) + "\n</svg>"


def short(name: str, most: int) -> str:
    """Return `name`, cut to `most` letters."""
    return name if len(name) <= most else name[: most - 1] + "…"
