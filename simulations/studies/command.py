"""`willis study`: published claims, recomputed. Nothing heavy is imported before a study runs."""

from pathlib import Path

import click

PATCHES_PER_PATIENT = (1, 10, 100, 1000)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def study() -> None:
    """Recompute what others published about privacy."""


@study.command("kossen-accounting")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Also write the figures.")
def kossen_accounting(csv_file: Path | None) -> None:
    """Print what the private runs of Kossen et al. 2022 cost, as accounted and as run. Takes minutes."""
    from rich.console import Console

    from shared.privacy.accounting import PrivacyCost
    from simulations.bars import bars
    from simulations.studies import kossen_accounting as kossen
    from simulations.studies.kossen_tables import REASONS, groups_table, runs_table, write_csv
    from simulations.studies.patient_groups import group_cost

    rows: list[tuple[kossen.Run, list[kossen.Figure]]] = []
    groups: list[tuple[int, PrivacyCost, PrivacyCost]] = []
    run = kossen.RUNS[-1]
    with bars() as report:
        for number, each in enumerate(kossen.RUNS):
            found: list[kossen.Figure] = []
            for figure in kossen.figures(each):
                found.append(figure)
                report("runs", number * kossen.READINGS + len(found), len(kossen.RUNS) * kossen.READINGS)
            rows.append((each, found))
        for number, patches in enumerate(PATCHES_PER_PATIENT):
            fresh, reused = (
                group_cost(patches, steps(run), kossen.DELTA) for steps in (kossen.fresh, kossen.released)
            )
            groups.append((patches, fresh, reused))
            report("patients", number + 1, len(PATCHES_PER_PATIENT))
    console = Console()
    for table in (runs_table(rows), groups_table(groups)):
        console.print(table)
    for reason in REASONS:
        console.print(f"- {reason}", highlight=False)
    if csv_file:
        write_csv(csv_file, rows, run, groups)
