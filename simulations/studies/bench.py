"""What every study works with: where it writes, how much at a time, and how it shows and keeps what it found."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from shared.errors import UsageError
from shared.files import write_durably
from simulations.evaluate import SIMULATION_ONLY
from simulations.hospitals.cohort import Plan
from simulations.studies.cells import Cell, Done, Report, Work, run_cells
from simulations.studies.cohorts import phantoms
from simulations.studies.runs import DELTA
from simulations.studies.tables import Table, terminal, write

# What is true of every table; a file travels without the terminal's last lines.
ALWAYS = (
    f"An ε in a name is that of a run at one site: δ = {DELTA:g}; unit: patient; add/remove; PLD, dp-accounting.",
    SIMULATION_ONLY,
)


@dataclass(frozen=True)
class Bench:
    """One study at work."""

    out: Path
    jobs: int  # processes at a time
    report: Report

    def phantoms(self, folder: str, plan: Plan) -> str:
        """Return where the patients of a plan are, relative to `out`, having written them if need be."""
        return phantoms(self.out, folder, plan, self.jobs, self.report)

    def compute(self, stage: str, cells: Sequence[Cell], work: Work) -> dict[str, Done]:
        """Return the results of cells by name; what was computed before is not computed again."""
        return run_cells(self.out, stage, cells, work, jobs=self.jobs, report=self.report)


@dataclass(frozen=True)
class Findings:
    """What a study found."""

    tables: tuple[Table, ...]
    figures: dict[str, bytes]  # PNG by name of file


def check_folder(out: Path) -> None:
    """Refuse a folder that holds something else than a study.

    Raises:
        UsageError: naming it.
    """
    known = {"cells", "cohorts", "held-out", "second-site"}
    if out.exists() and any(out.iterdir()) and not any((out / name).exists() for name in known):
        raise UsageError(f"{out}: holds something else than a study; name a new folder")


def keep(findings: Findings, out: Path, done: Sequence[Done]) -> None:
    """Write tables (CSV, Markdown) and figures (PNG) into `out`, and print the tables."""
    console = Console(highlight=False, soft_wrap=True)
    for table in findings.tables:
        write(replace(table, notes=(*table.notes, *ALWAYS)), out)
        console.print(terminal(table, console.width))
        for note in table.notes:
            console.print(f"- {note}", markup=False)
    for name, png in findings.figures.items():
        write_durably(out / name, png)
    for note in ALWAYS:
        console.print(note)
    if len({one.code for one in done}) > 1:
        console.print(f"The code changed between cells: remove {out / 'cells'} to compute all with one version.")
    console.print(
        f"wrote     {', '.join(sorted([*(t.name + '.csv/.md' for t in findings.tables), *findings.figures]))}"
    )
