"""The report's charts as inline SVG: no script, no font, no network; the same numbers give the same bytes.

Lines carry their names beside them, and each has its own dash and marker, so that no meaning rests on colour.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 520, 330  # user units; the page scales them
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 128, 18, 48
_INK, _RULE, _CAP = "#1b1f24", "#d8dde3", "#a61b1b"
_COLOURS = ("#0b5fa5", "#a8480a", "#00704d", "#8a3b78", "#6b5900", "#46505a")
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 4")
_LABEL_GAP = 15  # least distance between labels


@dataclass(frozen=True)
class Line:
    """One named line: points (x, y) in order of x."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Bar:
    """A site's budget: ε spent before, ε spent in all, ε of the cap."""

    name: str
    before: float
    spent: float
    cap: float


def line_chart(title: str, lines: Sequence[Line], caps: Sequence[tuple[str, float]], axes: tuple[str, str]) -> str:
    """Return an SVG of `lines` with `caps` as dashed horizontals; `axes` are the titles of x and y."""
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points] + [y for _, y in caps]
    x_ticks, y_ticks = ticks(max([*xs, 1.0]), whole=True), ticks(max([*ys, 0.1]) * 1.02)
    scale = _Scale(max(x_ticks[-1], *xs), y_ticks[-1])
    parts = _frame(scale, x_ticks, y_ticks, axes)
    for _, height in caps:
        parts.append(_path([(0, height), (scale.x_max, height)], scale, _CAP, "6 5", 1.6))
    for index, line in enumerate(lines):
        colour, dash = _COLOURS[index % len(_COLOURS)], _DASHES[index % len(_DASHES)]
        parts.append(_path(line.points, scale, colour, dash, 2.2))
        parts += [_dot(scale.x(x), scale.y(y), colour) for x, y in line.points]
    ends = [(line.name, line.points[-1][1], _COLOURS[i % len(_COLOURS)]) for i, line in enumerate(lines)]
    ends += [(name, height, _CAP) for name, height in caps]
    parts += _end_labels(ends, scale)
    return _svg(title, WIDTH, HEIGHT, parts)


def budget_chart(title: str, bars: Sequence[Bar]) -> str:
    """Return an SVG with a stacked bar a site: spent before, spent by this run, left under the cap."""
    row, top = 52, 34
    height = top + row * len(bars) + 26
    ceiling = max([bar.cap for bar in bars] + [bar.spent for bar in bars])
    unit = (WIDTH - 2 * 12) / ceiling
    parts = _legend()
    for index, bar in enumerate(bars):
        y = top + row * index
        parts.append(_text(12, y + 14, bar.name, weight="600"))
        rest = bar.cap - bar.spent
        state = f"{_down(rest)} left of {bar.cap:g}" if rest >= 0 else f"{_up(-rest)} over the cap of {bar.cap:g}"
        said = f"{_up(bar.spent)} spent, {state}"
        parts.append(_text(WIDTH - 12, y + 14, said, anchor="end"))
        parts.append(_box(12, y + 20, bar.cap * unit, "#ffffff", _INK))
        parts.append(_box(12, y + 20, bar.spent * unit, "#0b5fa5"))
        parts.append(_box(12, y + 20, bar.before * unit, "#46505a"))
        if bar.spent > bar.cap:
            x = 12 + bar.cap * unit
            parts.append(
                f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y + 16}" y2="{y + 44}" stroke="{_CAP}" stroke-width="3"/>'
            )
    parts.append(
        _text(WIDTH / 2, height - 6, "ε at the cap's δ, everything on the same patients", anchor="middle")
    )
    return _svg(title, WIDTH, height, parts)


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


@dataclass(frozen=True)
class _Scale:
    """From data to user units."""

    x_max: float
    y_max: float

    def x(self, value: float) -> float:
        return _LEFT + value / self.x_max * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - value / self.y_max * (HEIGHT - _TOP - _BOTTOM)


def _frame(scale: _Scale, x_ticks: Sequence[float], y_ticks: Sequence[float], axes: tuple[str, str]) -> list[str]:
    right, bottom = scale.x(scale.x_max), scale.y(0)
    parts = []
    for value in y_ticks:
        y = scale.y(value)
        parts.append(f'<line x1="{_LEFT}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_RULE}"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{value:g}", anchor="end"))
    for value in x_ticks:
        if value <= scale.x_max:
            parts.append(_text(scale.x(value), bottom + 18, f"{value:g}", anchor="middle"))
    parts.append(f'<line x1="{_LEFT}" x2="{right:.1f}" y1="{bottom:.1f}" y2="{bottom:.1f}" stroke="{_INK}"/>')
    parts.append(_text((_LEFT + right) / 2, HEIGHT - 8, axes[0], anchor="middle"))
    middle = (_TOP + bottom) / 2
    turn = f'transform="rotate(-90 14 {middle:.1f})"'
    parts.append(_text(14, middle, axes[1], anchor="middle", more=turn))
    return parts


def _end_labels(ends: Sequence[tuple[str, float, str]], scale: _Scale) -> list[str]:
    """Name each line at its end, moved down where names would touch."""
    parts, last = [], -math.inf
    for name, height, colour in sorted(ends, key=lambda end: -end[1]):
        last = max(scale.y(height) + 4, last + _LABEL_GAP)
        parts.append(_text(scale.x(scale.x_max) + 8, last, _short(name), fill=colour, weight="600"))
    return parts


def _legend() -> list[str]:
    parts, x = [], 12
    for name, fill, stroke in (
        ("earlier runs", "#46505a", "none"),
        ("this run", "#0b5fa5", "none"),
        ("left under the cap", "#ffffff", _INK),
    ):
        parts.append(f'<rect x="{x}" y="6" width="13" height="13" fill="{fill}" stroke="{stroke}"/>')
        parts.append(_text(x + 19, 17, name))
        x += 40 + 8 * len(name)
    return parts


def _path(points: Sequence[tuple[float, float]], scale: _Scale, colour: str, dash: str, width: float) -> str:
    track = " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in points)
    stroke = f'stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}"'
    return f'<polyline points="{track}" fill="none" {stroke}/>'


def _dot(x: float, y: float, colour: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'


def _box(x: float, y: float, width: float, fill: str, stroke: str = "none") -> str:
    return f'<rect x="{x}" y="{y}" width="{max(0.0, width):.1f}" height="20" fill="{fill}" stroke="{stroke}"/>'


def _text(
    x: float, y: float, words: str, *, anchor: str = "start", fill: str = _INK, weight: str = "400", more: str = ""
) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-weight="{weight}"'
    return f"<text {place} {more}>{escape(words)}</text>".replace(" >", ">")


def _svg(title: str, width: int, height: int, parts: Sequence[str]) -> str:
    shape = f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {shape} font-size="14">\n' + "\n".join(parts) + "\n</svg>"


def _short(name: str) -> str:
    return name if len(name) <= 16 else name[:15] + "…"


def _up(value: float) -> str:
    return f"{math.ceil(value * 100 - 1e-6) / 100:.2f}"


def _down(value: float) -> str:
    return f"{math.floor(value * 100 + 1e-6) / 100:.2f}"
