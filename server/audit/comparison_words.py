"""A comparison of two reports as a person reads it, in a terminal of 80 columns or more."""

from collections.abc import Callable, Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from server.audit.sources import Relation
from shared.canonical import canonical

Comparison = dict[str, Any]

_NAMED = 6  # sites named on one line
_ALWAYS = ("guaranteed", "if planned")  # rows that are shown also where both are equal
_NOISE = {None: None, False: "of the operating system", True: "from a seed"}

_LEDGERS = {
    Relation.SAME: "Both are of the same ledger of {common} entries.",
    Relation.CONTINUED: "B's ledger continues A's: all {common} entries of A are the first ones of B.",
    Relation.EARLIER: "A's ledger continues B's: all {common} entries of B are the first ones of A.",
    Relation.UNRELATED: "The ledgers have nothing in common.",
    Relation.UNKNOWN: "The ledgers were not compared: that needs two run folders, each with its ledger.",
}
_STRANGERS = " The coordinators are different: a site's name may mean another hospital in each."
_FORK = (
    "FORK: the ledgers are of one coordinator, agree on the first {common} entries, and then say different "
    "things. Somebody was shown another past. Believe neither, and ask every hospital which one it cosigned."
)


def show(found: Comparison, console: Console) -> None:
    """Print a comparison: ledgers, verdicts and figures by site, then all else that differs."""
    for part in _parts(found):
        console.print(part)


def _parts(found: Comparison) -> Iterator[RenderableType]:
    yield Text(f"A: run {found['runs'][0][:12]}\nB: run {found['runs'][1][:12]}")
    yield _ledgers(found)
    if found["same"]:
        yield Text("The reports are the same, byte for byte.")
        return
    for sites, one in _alike(found["sites"]):
        yield Group(Text(""), Text(sites, style="bold"), Text(_sentence(one["words"])), _site_table(one))
    joint = found["joint"]
    where = " and ".join(dict.fromkeys(f"{n} of the sites" for n in joint["sites"]))
    yield Group(Text(f"A patient at {where}, as declared", style="bold"), Text(_sentence(joint["words"])))
    if found["facts"]:
        yield _table("What else differs", [(name, *both) for name, both in found["facts"].items()])
    yield from _lists(found)
    yield Text("This compared what the reports say. `willis audit verify` checks whether it is so.", style="dim")


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:] + "."


def _ledgers(found: Comparison) -> RenderableType:
    relation, common = Relation(found["ledgers"]["relation"]), found["ledgers"]["common"]
    if relation is Relation.FORKED:
        return Panel(Text(_FORK.format(common=common)), style="bold red")
    strangers = _STRANGERS if "coordinator" in found["facts"] else ""
    return Text(_LEDGERS[relation].format(common=common) + strangers)


def _alike(rows: list[Comparison]) -> Iterator[tuple[str, Comparison]]:
    """Yield (sites, row): sites with the same figures share one."""
    groups: dict[bytes, tuple[list[str], Comparison]] = {}
    for row in rows:
        told = row | {"site": "", "cohort": _cohorts(row)}
        groups.setdefault(canonical(told), ([], told))[0].append(row["site"])
    for sites, told in groups.values():
        more = f" and {len(sites) - _NAMED} more" if len(sites) > _NAMED else ""
        yield ", ".join(sites[:_NAMED]) + more, told


def _cohorts(row: Comparison) -> list[str]:
    """Say whether two commitments are to one list of patients; the commitments themselves tell nobody anything."""
    first, second = row["cohort"]
    second_name = "–" if second is None else "the same" if first == second else "another"
    return ["–" if first is None else "one", second_name]


def _site_table(row: Comparison) -> RenderableType:
    nothing = [None, None]
    told = [
        (name.replace("_", " "), [claim["text"] if claim else None for claim in row.get(name, nothing)])
        for name in ("guaranteed", "if_planned", "cap")
    ]
    told += [("holds", row.get("condition", nothing)), ("patients", row["patients"])]
    told += [("state", row.get("status", nothing)), ("noise", [_NOISE[s] for s in row.get("seeded", nothing)])]
    told.append(("runs only here", ["\n".join(run[:12] for run in runs) or None for runs in row["runs_only"]]))
    rows = [
        (name, *("–" if value is None else str(value) for value in both))
        for name, both in told
        if both[0] != both[1] or name in _ALWAYS
    ]
    if row["cohort"][1] != "the same":
        rows.append(("patient list", *row["cohort"]))
    return _table("", rows)


def _lists(found: Comparison) -> Iterator[RenderableType]:
    shown: dict[str, Callable[[Any], str]] = {
        "releases": lambda x: f"{x.get('what', 'data set')} {x['manifest'][:12]}, {x['kind']}, {x['cases']} cases",
        "incidents": lambda x: f"{x['kind']}, entry {x['entry']}: {x['what']}",
        "warnings": str,
    }
    rows = [(name, *("\n".join(map(tell, side)) or "–" for side in found[name])) for name, tell in shown.items()]
    rows = [row for row in rows if row[1:] != ("–", "–")]
    if rows:
        yield _table("Only in one of them", rows)


def _table(title: str, rows: list[tuple[str, ...]]) -> RenderableType:
    table = Table(title=title or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, expand=True)
    table.add_column("", ratio=4, overflow="fold")
    for name in ("A", "B"):
        table.add_column(name, ratio=9, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # as Text: what reports hold is no markup
    return table
