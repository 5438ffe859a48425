"""How pages are made: templates that escape everything, pictures from the report's charts, cards from Markdown."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from server.dataset.viewer.card import card_html
from server.portal.budgets import Budget
from server.report import svg
from server.report.charts import budget_chart
from server.report.page import figure, share

FILES = Path(__file__).parent / "templates"
_PARTS = (("before", svg.PAST, "none"), ("this", svg.MAIN, "none"), ("reserved", "#9cc3e6", svg.MAIN))
_BAR = 22  # height, in the chart's units


def environment() -> Environment:
    """Return the templates; a name that is not there is an error, and every value is escaped."""
    found = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=FileSystemLoader(FILES),
    )
    found.filters.update(
        {"figure": figure, "share": share, "size": size, "bar": bar, "card": card_html, "count": count}
    )
    return found


def bar(budget: Budget) -> Markup:
    """Return a site's budget as a bar; its figures belong beside it as text."""
    parts_of = budget.share
    if parts_of is None or None in parts_of.values():
        return Markup()
    full = max(1.0, sum(parts_of[name] for name, _, _ in _PARTS))
    unit, x = (svg.WIDTH - 2) / full, 1.0
    drawn = [svg.box(1, 1, unit, _BAR - 2, "#ffffff", svg.INK)]
    for name, fill, stroke in _PARTS:
        if parts_of[name]:
            drawn.append(svg.box(x, 1, parts_of[name] * unit, _BAR - 2, fill, stroke))
        x += parts_of[name] * unit
    if full > 1:
        drawn.append(svg.rule(1 + unit, 0, 1 + unit, _BAR, svg.ALARM, 4))
    left = share(parts_of["left"], down=True)
    return Markup(svg.svg(f"Budget of {budget.name}: {left} left", _BAR, drawn))  # escaped where it is drawn


def picture(budgets: tuple[Budget, ...]) -> Markup:
    """Return the report's chart of all budgets; empty where no cap holds."""
    return Markup(budget_chart([budget.drawn for budget in budgets]))  # escaped where it is drawn


def size(number: int | None) -> str:
    """Return a file's size in words.

    >>> size(1_234_567)
    '1.2 MB'
    """
    if number is None:
        return "missing"
    if number < 1000:
        return f"{number} bytes"
    power = min(3, (len(str(number)) - 1) // 3)
    return f"{number / 1000**power:.1f} {('kB', 'MB', 'GB')[power - 1]}"


def count(number: int, thing: str) -> str:
    """Return a number of things in words."""
    return f"{number} {thing}" + ("" if number == 1 else "s")
