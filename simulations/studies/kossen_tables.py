"""The study's figures as tables for a terminal and as one CSV line a figure."""

import csv
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from shared.privacy.accounting import PrivacyCost, format_epsilon
from simulations.studies.kossen_accounting import Figure, Run

HEADINGS = (
    "as accounted\nRDP, Opacus",
    "as accounted\nPRV, Opacus",
    "as accounted\nPLD",
    "real steps,\nfresh batches\nRDP, Opacus",
    "real steps,\nfresh batches\nPLD",
    "released loop\nPLD",
    "released loop\nRDP, Opacus",
    "GDP limit:\nunderestimates,\nnever reported",
)
_COLUMNS = ("sigma", "epochs", "patches", "reading", "epsilon", "delta", "unit", "relation", "accountant")
REASONS = (
    "One batch was reused for five critic updates; the accountant assumes a fresh sample each time.",
    "The number of generated patches followed the realised batch size, so even that step saw private data.",
    "Sums were divided by the realised batch size, which no accountant covers: the released loop cost more still.",
    "The unit is one patch; a patient has up to 1,000. The patient's figure is the one that protects a patient.",
    "δ = 1/41,000 is one over the number of patches; a δ is chosen for the number of patients or smaller.",
)


def runs_table(rows: Sequence[tuple[Run, Sequence[Figure]]]) -> Table:
    """Return the paper's runs, a row each: the printed ε, then each reading."""
    table = Table(title="Kossen et al. 2022, ε of each run (unit: patch; δ = 1/41000; add/remove)")
    for heading in ("noise\nmultiplier", "epochs", "printed\nin the paper", *HEADINGS):
        table.add_column(heading, justify="right")
    for run, figures in rows:
        printed = "-" if run.printed is None else f"{run.printed:g}"
        cells = [_epsilon(figure.cost) for figure in figures]
        table.add_row(f"{run.noise_multiplier:g}", str(run.epochs), printed, *cells)
    return table


def groups_table(rows: Sequence[tuple[int, PrivacyCost, PrivacyCost]]) -> Table:
    """Return (patches of a patient, cost with fresh batches, cost of the released loop), a row each."""
    table = Table(title="σ = 0.65, 29 epochs, ε of a whole patient (unit: patient; δ = 1/41000; add/remove; PLD)")
    for heading in ("patches per patient", "real steps, fresh batches", "released loop"):
        table.add_column(heading, justify="right")
    for patches, fresh, reused in rows:
        table.add_row(f"{patches:,}", _epsilon(fresh), _epsilon(reused))
    return table


def write_csv(
    path: Path,
    rows: Sequence[tuple[Run, Sequence[Figure]]],
    group_run: Run,
    groups: Sequence[tuple[int, PrivacyCost, PrivacyCost]],
) -> None:
    """Write one line a figure, each with its unit, δ, neighbouring relation and accountant."""
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(_COLUMNS)
        for run, figures in rows:
            for figure in figures:
                out.writerow(_line(run, 1, figure.reading, figure.cost))
        for patches, fresh, reused in groups:
            out.writerow(_line(group_run, patches, "real steps, fresh batches", fresh))
            out.writerow(_line(group_run, patches, "released loop", reused))


def _line(run: Run, patches: int, reading: str, cost: PrivacyCost | None) -> list[object]:
    known = [run.noise_multiplier, run.epochs, patches, reading]
    if cost is None:
        return [*known, "not priced", "", "", "", ""]
    priced = [format_epsilon(cost.epsilon), cost.delta, cost.unit.value, cost.relation.value, cost.accountant]
    return [*known, *priced]


def _epsilon(cost: PrivacyCost | None) -> str:
    return "not priced" if cost is None else format_epsilon(cost.epsilon)
