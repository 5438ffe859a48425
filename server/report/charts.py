"""The report's charts, drawn from its figures; each stays readable with a hundred sites."""

import math
from collections.abc import Sequence
from typing import Any

from server.report import svg
from server.report.svg import Axis, Line, counting

LINES = 6  # most lines in one chart: no more can be told apart
BARS = 12
_NAME = 28  # letters of a name beside a bar's figure
_LISTED = 1  # sites named on one line or bar


def spending_chart(groups: Sequence[dict[str, Any]]) -> str:
    """Return ε over rounds with the caps, the costliest groups of sites; "" without a finite ε."""
    finite = [g for g in groups if all(p["cost"]["epsilon"] is not None for p in g["after_rounds"])]
    if not finite:
        return ""
    drawn = _costliest(finite, LINES)
    lines = [
        Line(named(g["sites"]), tuple((p["round"], p["cost"]["epsilon"]) for p in g["after_rounds"]))
        for g in drawn
    ]
    caps = sorted({g["cap"]["epsilon"] for g in drawn}, reverse=True)[:LINES]
    levels = [(f"cap {cap:g}", cap) for cap in caps]
    most = max([*caps, *(y for line in lines for _, y in line.points)])
    last = max(x for line in lines for x, _ in line.points)
    x = counting("round", max(last, 1), whole=True)
    y = counting("ε if planned, with earlier runs", most * 1.02)
    return svg.line_chart("Privacy spent over rounds, with the caps dashed", lines, levels, x, y)


def curve_chart(curve: dict[str, Any] | None) -> str:
    """Return ε as a function of δ with the chosen δ marked."""
    if curve is None:
        return ""
    points = tuple((p["delta"], p["epsilon"]) for p in curve["points"])
    chosen = next(point for point in points if point[0] == curve["chosen"])
    powers = range(math.floor(math.log10(points[0][0])), math.ceil(math.log10(points[-1][0])) + 1)
    x = Axis("δ", tuple((10.0**n, f"1e{n}") for n in powers), log=True)
    y = counting("ε if planned", max(y for _, y in points) * 1.02 or 0.1)
    lines = [Line("ε(δ)", points), Line("", (chosen,))]
    level = [("at the chosen δ", chosen[1])]
    return svg.line_chart("ε for several δ, the chosen one dashed", lines, level, x, y)


def budget_chart(groups: Sequence[dict[str, Any]]) -> str:
    """Return how full each cap's Rényi filter is: earlier runs, this run, reserved, left."""
    kept = [g for g in groups if g["filter"] and None not in g["filter"].values()]
    if not kept:
        return ""
    kept = sorted(kept, key=lambda g: g["filter"]["left"])[:BARS]
    names = (("earlier", svg.PAST, "none"), ("this run", svg.MAIN, "none"))
    parts = svg.legend((*names, ("reserved", "#9cc3e6", svg.MAIN), ("left", "#ffffff", svg.INK)))
    top, row = 34, 52
    full = max(1.0, *(sum(g["filter"][k] for k in ("before", "this", "reserved")) for g in kept))
    unit = (svg.WIDTH - 24) / full
    for index, group in enumerate(kept):
        parts += _budget_bar(group, top + row * index, unit)
    return svg.svg("Budget spent, reserved and left", top + row * len(kept), parts)


def _budget_bar(group: dict[str, Any], y: float, unit: float) -> list[str]:
    rule = group["filter"]
    said = f"{math.floor(rule['left'] * 100)} % left for later runs"
    parts = [svg.text(12, y + 14, svg.short(named(group["sites"]), _NAME), weight="600")]
    parts.append(svg.text(svg.WIDTH - 12, y + 14, said, anchor="end"))
    parts.append(svg.box(12, y + 20, unit, 20, "#ffffff", svg.INK))
    x = 12.0
    for share, fill, stroke in (
        (rule["before"], svg.PAST, "none"),
        (rule["this"], svg.MAIN, "none"),
        (rule["reserved"], "#9cc3e6", svg.MAIN),
    ):
        if share:
            parts.append(svg.box(x, y + 20, share * unit, 20, fill, stroke))
        x += share * unit
    if x > 12 + unit * 1.0001:
        parts.append(svg.rule(12 + unit, y + 16, 12 + unit, y + 44, svg.ALARM, 3))
    return parts


def accountants_chart(groups: Sequence[dict[str, Any]]) -> str:
    """Return each group's cost by each accountant, on one scale."""
    priced = [(g, g["if_planned"]["cost"]) for g in _costliest(groups, BARS)]
    priced = [
        (g, p)
        for g, p in priced
        if p["rdp"] and p["rdp"]["epsilon"] is not None and p["pld"]["epsilon"] is not None
    ]
    if not priced:
        return ""
    most = max(claim["epsilon"] for _, p in priced for claim in (p["pld"], p["rdp"], p["tight"]) if claim)
    axis = counting("ε if planned, with earlier runs", most * 1.02 or 0.1)
    left, width = 120.0, svg.WIDTH - 190.0
    row, bottom = 66, 8 + 66 * len(priced)
    parts = [
        svg.rule(left + axis.share(v) * width, 8, left + axis.share(v) * width, bottom, svg.RULE)
        for v, _ in axis.ticks
    ]
    for index, (group, prices) in enumerate(priced):
        y = 8 + row * index
        parts.append(svg.text(12, y + 16, svg.short(named(group["sites"]), 60), weight="600"))
        for place, (name, claim) in enumerate(
            (("PLD", prices["pld"]), ("RDP", prices["rdp"]), (_tight(prices), prices["tight"]))
        ):
            if claim:
                height = y + 28 + 15 * place
                end = left + axis.share(claim["epsilon"]) * width
                parts.append(svg.text(left - 8, height + 4, name, anchor="end", fill=svg.SOFT))
                parts.append(svg.rule(left, height, end, height, svg.MAIN if not place else svg.PAST, 4))
                parts.append(
                    svg.text(end + 6, height + 4, f"{math.ceil(claim['epsilon'] * 100 - 1e-6) / 100:.2f}")
                )
    parts += [svg.text(left + axis.share(v) * width, bottom + 16, name, anchor="middle") for v, name in axis.ticks]
    parts.append(svg.text(left + width / 2, bottom + 36, axis.title, anchor="middle"))
    return svg.svg("The same costs by three accountants", bottom + 44, parts)


def _tight(prices: dict[str, Any]) -> str:
    return "PRV" if prices["tight"] and prices["tight"]["accountant"].startswith("PRV") else "exact"


def _costliest(groups: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    def cost(group: dict[str, Any]) -> float:
        epsilon = group["if_planned"]["cost"]["pld"]["epsilon"]
        return math.inf if epsilon is None else float(epsilon)

    return sorted(groups, key=cost, reverse=True)[:most]


def named(names: Sequence[str]) -> str:
    """Return the first names of a group and how many more there are."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" +{more}" if more > 0 else "")
