"""The budget report as one page: no script, no network; made for phones, paper and screen readers too."""

import json
from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from server.charts import Bar, Line, budget_chart, line_chart
from server.report_style import STYLE
from server.report_template import TEMPLATE
from shared.canonical import Json, canonical

_LISTED = 3  # sites named on one line of the chart


def render_page(report: dict[str, Json]) -> str:
    """Return index.html of a report; the same report gives the same bytes, whatever the order of its keys."""
    plain = json.loads(canonical(report))
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page.filters["figure"] = _figure
    return page.from_string(TEMPLATE).render(
        r=plain,
        style=Markup(STYLE),  # ours, no input in it
        histories=_histories(plain["sites"]),
        meanings=sorted({_meaning(site["against_cap"]) for site in plain["sites"]}),
        spending_chart=Markup(_spending_chart(plain["sites"])),  # escaped where it is drawn
        budget_chart=Markup(_budget_chart(plain["sites"])),
    )


def _figure(claim: dict[str, str] | None) -> Markup:
    """Show a claim as its ε, with everything that gives it meaning below in small print."""
    if claim is None:
        return Markup("<span class=none>not computed</span>")
    first, _, rest = claim["text"].partition(" (")
    return Markup("<div><b>{}</b><small>{}</small></div>").format(first, rest.removesuffix(")"))


def _meaning(claim: dict[str, str]) -> str:
    """Return what a claim's ε means: δ, unit, relation, accountant."""
    return "ε at " + claim["text"].partition(" (")[2].removesuffix(")")


def _histories(sites: Sequence[dict[str, Any]]) -> list[tuple[list[str], list[dict[str, Any]]]]:
    """Return (sites, cost after rounds), sites with the same costs together."""
    groups: list[tuple[list[str], list[dict[str, Any]]]] = []
    for site in sites:
        same = next((names for names, points in groups if points == site["after_rounds"]), None)
        if same is None:
            groups.append(([site["site"]], site["after_rounds"]))
        else:
            same.append(site["site"])
    return groups


def _spending_chart(sites: Sequence[dict[str, Any]]) -> str:
    """Return ε over rounds; sites with the same costs share a line."""
    lines = [
        Line(_named(names), tuple((p["round"], p["cost"]["epsilon"]) for p in points))
        for names, points in _histories(sites)
        if all(p["cost"]["epsilon"] is not None for p in points)
    ]
    if not lines:
        return ""
    caps = sorted({site["cap"]["epsilon"] for site in sites}, reverse=True)
    named = [(f"cap {cap:g}", cap) for cap in caps]
    title = "Privacy spent over rounds, one line a site, with the caps dashed; the table below has the figures"
    return line_chart(title, lines, named, ("round", "ε, with all earlier runs"))


def _budget_chart(sites: Sequence[dict[str, Any]]) -> str:
    bars = [
        Bar(s["site"], s["before"]["epsilon"], s["against_cap"]["epsilon"], s["cap"]["epsilon"])
        for s in sites
        if s["against_cap"]["epsilon"] is not None
    ]
    title = "Budget spent and left at every site; the table below has the figures"
    return budget_chart(title, bars) if bars else ""


def _named(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" +{more}" if more > 0 else "")
