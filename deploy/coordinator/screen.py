"""What `willis coordinator status` and `watch` show, as tables of rich. Pure but for what they are given."""

import time
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deploy.budget import PLANNED, Budget, percent
from deploy.coordinator.runs import Standing
from deploy.words import duration, moment, size
from shared.ledger.events import (
    Approval,
    Enrol,
    Event,
    Federation,
    Gate,
    Incident,
    Refuse,
    Release,
    Round,
    Run,
    Steward,
)
from shared.ledger.log import SignedEvent

LAST_EVENTS = 6
QUIET_SECONDS = 600  # a running run that wrote nothing for so long is pointed at


def what_next(run: Standing) -> str:
    """Return what a person may do now."""
    state, name = run.status.state, run.name
    if state == "running":
        return f"willis coordinator watch {name}"
    if state == "finished":
        return f"willis audit verify {run.folder.path}"
    return f"willis coordinator resume {name}, once what stopped it is mended: no budget is lost or spent twice"


def runs_table(runs: Sequence[Standing]) -> Table:
    """Return a line for each run."""
    table = Table("run", "recipe", "state", "phase", "rounds", "time left", "sites", "refused", box=None)
    for run in runs:
        status = run.status
        left = run.seconds_left
        table.add_row(
            run.name,
            f"{run.job.recipe} {run.job.variant}",
            status.state,
            status.phase,
            f"{status.round}/{run.job.rounds}",
            "" if left is None else duration(left),
            f"{len(status.sites)}/{run.job.sites}",
            str(status.refusals),
        )
    return table


def run_table(run: Standing) -> Table:
    """Return what is known of one run, a line for each thing."""
    status, table = run.status, _plain()
    table.add_row("run", f"{run.name}: {run.job.recipe} {run.job.variant}, preset {run.job.preset}")
    table.add_row("state", f"{status.state}, {status.phase}" + (f" ({status.code})" if status.code else ""))
    if status.sentence:
        table.add_row("why", status.sentence)
    table.add_row("rounds", f"{status.round} of {run.job.rounds}")
    if status.mean_round_seconds is not None:
        table.add_row("a round", f"{duration(status.mean_round_seconds)} on average")
    if run.seconds_left is not None:
        table.add_row("time left", f"about {duration(run.seconds_left)} of rounds")
    if status.started:
        table.add_row("started", moment(status.started))
        table.add_row("last word", moment(status.updated) + _quiet(run))
    table.add_row("moved", f"{size(status.bytes_out)} to sites, {size(status.bytes_in)} from them")
    table.add_row("refused", f"{status.refusals} (updates, reservations)")
    for site, what in status.sites.items():
        table.add_row(site, what)
    table.add_row("next", what_next(run))
    return table


def budget_table(budgets: Mapping[str, Budget]) -> Table:
    """Return each hospital's budget; every ε with unit, δ, relation and accountant."""
    table = _plain()
    for site, budget in budgets.items():
        table.add_row(site, f"committed {budget.committed} of the cap, {budget.limit}")
        table.add_row(
            "", f"{budget.left_in_words}; {percent(budget.filter_left)} of its {budget.filter_name} left"
        )
    return table


def events_table(events: Sequence[SignedEvent], run: str) -> Table:
    """Return the last entries of the ledger that belong to a run, or to all while it has none."""
    own = [signed for signed in events if getattr(signed.event, "run", None) == run]
    table = _plain()
    for signed in (own or events)[-LAST_EVENTS:]:
        table.add_row(signed.signer, _told(signed.event))
    return table


def screen(run: Standing, budgets: Mapping[str, Budget], events: Table) -> RenderableType:
    """Return all that is known of a run: how it stands, what it costs, what the ledger had last."""
    parts: list[RenderableType] = [run_table(run)]
    if run.status.state == "running":
        parts.append(ProgressBar(total=run.job.rounds, completed=run.status.round, width=60))
    if budgets:
        parts += [Text(f"\nBudgets, {PLANNED}"), budget_table(budgets)]
    if events.row_count:
        parts += [Text("\nLast entries of the ledger"), events]
    return Group(*parts)


def line(run: Standing) -> str:
    """Return the run as one line, for terminals that cannot redraw."""
    status, left = run.status, run.seconds_left
    said = f"{run.name}: {status.state}, {status.phase}, round {status.round}/{run.job.rounds}"
    if left is not None:
        said += f", about {duration(left)} left"
    return said + (f", {status.refusals} refused" if status.refusals else "")


def _told(event: Event) -> str:
    """Return an entry in a few words; no reason of a site is repeated, codes are."""
    match event:
        case Federation():
            return "the federation was founded"
        case Enrol():
            return "enrolled"
        case Run():
            return f"planned {event.rounds} rounds of {event.recipe} {event.variant}"
        case Round():
            return f"round {event.round}: {len(event.sites)} sites averaged"
        case Refuse():
            return f"refused {event.site if event.by == 'coordinator' else 'the run'} ({event.code})"
        case Steward() | Gate() | Approval() | Release():
            return _told_of_release(event)
        case Incident():
            return f"incident: {event.text}"
        case _:
            return f"{event.type}d"


def _told_of_release(event: Steward | Gate | Approval | Release) -> str:
    match event:
        case Steward():
            return f"steward {event.name} {event.state}"
        case Gate():
            return "the release gate was shut" if event.failed else "the release gate passed"
        case Approval():
            return f"{event.decision} a release"
        case Release():
            return f"released a {event.what}"


def _quiet(run: Standing) -> str:
    silent = time.time() - run.status.updated
    if run.status.state != "running" or silent < QUIET_SECONDS:
        return ""
    return f": {duration(silent)} ago; look into the logs if its rounds are not that long"


def _plain() -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table
