"""`willis site status`: how this hospital stands, from its own disk."""

from collections.abc import Iterator
from datetime import UTC, datetime

import click

from deploy.site.home import SiteHome

LAST_REFUSALS = 5


@click.command()
@click.pass_obj
def status(home: SiteHome) -> None:
    """Show whether this hospital has joined, what it has approved, and what its patients' budget is."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for what, said in (*_network(home), *_budget(home)):
        table.add_row(what, said)
    Console(highlight=False, markup=False).print(table)


def _network(home: SiteHome) -> Iterator[tuple[str, str]]:
    from deploy.observed import days_left, expiry
    from deploy.site.approvals import Approvals

    settings = home.settings
    yield "hospital", settings.name
    joined = home.joined.exists()
    yield "joined", settings.coordinator if joined else "no; willis site join ANSWER installs the centre's answer"
    until = expiry(home.keys / "tls.crt")
    if until is None:
        yield "certificate", "none; it comes with the centre's answer"
    else:
        days, date = days_left(until), f"{until:%Y-%m-%d}"
        expired = f"EXPIRED on {date}; ask the centre to approve a new request"
        yield "certificate", f"valid until {date}, {days:.0f} days" if days > 0 else expired
    approvals = Approvals(home.bundles)
    bundles = approvals.approved()
    yield "approved", ", ".join(bundle[:12] for bundle in bundles) or "no bundle; see willis site review"
    if waiting := approvals.pending():
        yield "to review", ", ".join(bundle[:12] for bundle in waiting)
    yield "last answer", _last_answer(home)


def _budget(home: SiteHome) -> Iterator[tuple[str, str]]:
    from deploy.budget import PLANNED, percent
    from deploy.site.accounts import accounts, site_budget

    known = accounts(home)
    budget = site_budget(home, known)
    for run in known.runs:
        state = "reserved" if run.is_open else "settled"
        what = f"{run.recipe} {run.variant}, {state}, {run.begun} of {run.rounds} rounds begun"
        yield f"run {run.run[:12]}", f"{what}; alone {run.price}"
    yield "committed", f"{budget.committed}, {PLANNED}"
    yield "cap", str(budget.limit)
    yield "left", f"{budget.left_in_words}; {percent(budget.filter_left)} of its {budget.filter_name}"
    if budget.apart:
        yield "apart", f"{budget.apart} runs whose unit is not the patient are not counted in these figures"
    for refusal in known.refusals[-LAST_REFUSALS:]:
        yield "refused", f"run {refusal.run[:12]} ({refusal.code}): {refusal.reason}"
    if not known.refusals:
        yield "refused", "nothing"


def _last_answer(home: SiteHome) -> str:
    """Return when the ledger or a run's answers last changed: the last that the centre was told."""
    answers = [home.ledger_file, *home.ledger_file.parent.glob("runs/*/answer-*.safetensors")]
    times = [path.stat().st_mtime for path in answers if path.exists()]
    if not times:
        return "none yet"
    return f"{datetime.fromtimestamp(max(times), UTC):%Y-%m-%d %H:%M} UTC"
