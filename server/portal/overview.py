"""The federation at a glance: its sites, its runs, and what waits for somebody."""

from dataclasses import dataclass

from server.portal.books import Books
from server.portal.budgets import Budget, budgets
from server.report.words import STATUS
from server.run.status import Status
from shared.errors import WillisError
from shared.ledger.view import RunView


@dataclass(frozen=True)
class Site:
    """A site that joined; one row for each of its cohorts that set budget aside."""

    name: str
    patients: int
    budgets: tuple[Budget, ...]


@dataclass(frozen=True)
class RunRow:
    """A run in the ledger. `held` is the name of its folder, where that is at hand."""

    run: str
    held: str
    system: str
    state: str
    state_in_words: str
    now: str
    done: int
    planned: int
    refusals: int
    incidents: int
    releases: int
    is_simulation: bool
    has_report: bool


@dataclass(frozen=True)
class Overview:
    """What the first page shows of one federation."""

    patients: int
    sites: tuple[Site, ...]
    runs: tuple[RunRow, ...]
    waiting: tuple[str, ...]


def overview(books: Books) -> Overview:
    """Return the overview of one federation; what waits is told by run, apart from candidates."""
    known = budgets(books.ledger)
    sites = tuple(
        Site(e.site, e.patients, tuple(b for b in known if b.site == e.site))
        for e in books.ledger.enrolled.values()
    )
    runs = tuple(_row(books, view) for view in books.ledger.runs.values())
    waiting = tuple(what for row in runs if (what := _waits(row)))
    return Overview(sum(site.patients for site in sites), sites, runs[::-1], waiting)


def _row(books: Books, view: RunView) -> RunRow:
    held = books.holder(view.run.run)
    return RunRow(
        run=view.run.run,
        held=held.name if held else "",
        system=view.run.system,
        state=view.status.value,
        state_in_words=STATUS[view.status],
        now=live(books, view.run.run),
        done=len(view.rounds),
        planned=view.run.rounds,
        refusals=len(view.refusals),
        incidents=len(view.incidents),
        releases=len(view.releases),
        is_simulation=view.is_seeded,
        has_report=held is not None and (held.folder.path / "report" / "index.html").is_file(),
    )


def live(books: Books, run: str) -> str:
    """Return what the run's process is doing, or how it ended; "" where nothing tells."""
    held = books.holder(run)
    try:
        status = Status.read(held.folder) if held else None
    except WillisError:
        return "its status is damaged; resume the run, which writes it anew"
    if status is None:
        return ""
    reason = f": {status.sentence}" if status.sentence else ""
    return f"{status.state}, {status.phase}{reason}" if status.state != "finished" else "finished"


def is_running(books: Books) -> bool:
    """Whether a coordinator conducts a run of this federation at this moment."""
    return any(live(books, held.run).startswith("running") for held in books.held)


def _waits(row: RunRow) -> str:
    name = f"Run {row.held or row.run[:12]}"
    if row.now.startswith(("failed", "interrupted")):
        return f"{name} stopped ({row.now}). Resume it."
    if row.state == "unsettled" and not row.now.startswith("running"):
        return f"{name} is not settled: all that sites set aside counts as spent. Resume it."
    return ""
