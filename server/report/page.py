"""The budget report as one page: no script, no network; made for phones, paper and screen readers too."""

import json
import math
from collections.abc import Sequence
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from server.report.charts import accountants_chart, budget_chart, curve_chart, spending_chart
from server.report.grid import participation_chart
from server.report.style import STYLE
from server.report.tables import TABLES
from server.report.template import TEMPLATE
from shared.canonical import Json, canonical

_RANGES = 8  # ranges of rounds named in one row


def render_page(report: dict[str, Json]) -> str:
    """Return index.html of a report; the same report gives the same bytes, whatever the order of its keys."""
    r = json.loads(canonical(report))
    pages = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=DictLoader({"page": TEMPLATE, "tables": TABLES}),
    )
    pages.filters.update({"figure": figure, "share": share, "rounds": _rounds})
    pages.globals.update(
        r=r,
        charts={name: Markup(image) for name, image in _charts(r).items()},  # escaped where they are drawn
        meanings="; ".join(sorted({_meaning(group["against_cap"]) for group in r["groups"]})),
        attendance=_attendance(r["participation"]),
        leaders={site: g["sites"][0] for g in r["groups"] for site in g["sites"][1:]},
    )
    tables = pages.get_template("tables").module
    page = pages.get_template("page")
    return page.render(tables=tables, style=Markup(STYLE), headline=_headline(r), alone=_alone(r))  # our own style


def _charts(r: dict[str, Any]) -> dict[str, str]:
    groups = r["groups"]
    return {
        "spending": spending_chart(groups),
        "curve": curve_chart(r["curve"]),
        "budget": budget_chart(groups),
        "accountants": accountants_chart(groups),
        "participation": participation_chart(r["participation"], r["run"]["rounds_done"]),
    }


def _headline(r: dict[str, Any]) -> tuple[str, str]:
    """Return what is guaranteed per unit, and what gives the figure meaning; or that nothing was spent."""
    overlap = r["federation"]["overlap"]
    found = [level["guaranteed"]["cost"] for level in r["federation"]["levels"] if level["sites"] == overlap]
    if not found:
        return "nothing spent", "no site set budget aside"
    first, _, rest = found[0]["text"].partition(" (")
    simulated = "simulated, " if r["run"]["is_simulation"] else ""
    where = f"guaranteed to a {found[0]['unit']} at {overlap} of the sites, as declared"
    return f"{simulated}{first} per {found[0]['unit']}", f"{where}; {rest.removesuffix(')')}"


def _alone(r: dict[str, Any]) -> dict[str, Any] | None:
    """Return what this run by itself cost the costliest site."""
    site = r["federation"]["costliest"]
    return next((group["alone"]["pld"] for group in r["groups"] if site in group["sites"]), None)


def figure(claim: dict[str, str] | None) -> Markup:
    """Show a claim as its ε, with everything that gives it meaning below in small print."""
    if claim is None:
        return Markup("<span class=none>not computed</span>")
    first, _, rest = claim["text"].partition(" (")
    return Markup("<div><b>{}</b><small>{}</small></div>").format(first, rest.removesuffix(")"))


def _meaning(claim: dict[str, str]) -> str:
    """Return what a claim's ε means: δ, unit, relation, accountant."""
    return "ε at " + claim["text"].partition(" (")[2].removesuffix(")")


def share(part: float | None, down: bool = False) -> str:
    """Show a share as a percentage, rounded up as what is spent, or down as what is left."""
    if part is None:
        return "∞"
    return f"{math.floor(part * 1000) / 10:g} %" if down else f"{math.ceil(part * 1000 - 1e-6) / 10:g} %"


def _rounds(numbers: Sequence[int]) -> str:
    """Show round numbers as ranges, the first few."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    said = ["before training" if b == 0 else f"{a}" if a == b else f"{a}–{b}" for a, b in ranges[:_RANGES]]
    more = f" and {len(ranges) - _RANGES} more ranges" if len(ranges) > _RANGES else ""
    return ", ".join(said) + more


def _attendance(rows: Sequence[dict[str, Any]]) -> list[tuple[list[str], dict[str, Any]]]:
    """Return (sites, row), sites with the same numbers together."""
    groups: dict[tuple[int, int, int], tuple[list[str], dict[str, Any]]] = {}
    for row in rows:
        key = (row["averaged"], row["refused"], row["absent"])
        groups.setdefault(key, ([], row))[0].append(row["site"])
    return list(groups.values())
