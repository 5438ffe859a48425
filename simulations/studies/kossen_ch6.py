"""Chapter 6 of Kossen's thesis: a DP-WGAN on vessel patches, over noise multipliers (Kossen et al., 2022).

As in the paper the unit is the patch and each run has its own noise multiplier. Beside the ε the paper printed
stands what its released loop cost, and what this study's own run costs; beside the rows of the paper, rows whose
unit is the patient.
"""

from collections.abc import Sequence
from pathlib import Path

from shared.canonical import Json
from shared.evaluation.utility import Tissue
from shared.privacy.accounting import cost
from shared.recipes.catalogue import load
from simulations.studies.bench import Bench, Findings
from simulations.studies.cells import Cell, Done
from simulations.studies.cohorts import Hospitals
from simulations.studies.figures import curves, sample_grid
from simulations.studies.kossen_accounting import DELTA, RUNS, released
from simulations.studies.kossen_ch6_tables import (
    COLUMNS,
    EPOCHS,
    NOISE_FREE,
    PRINTED,
    VARIANT,
    Found,
    lines,
    notes,
    panels,
    title,
)
from simulations.studies.noise import epsilon_at
from simulations.studies.rows import (
    HELD_OUT,
    PRICED,
    PUBLIC,
    REAL,
    SECOND_SITE,
    Row,
    Sizes,
    compare,
)
from simulations.studies.runs import DELTA as OUR_DELTA
from simulations.studies.runs import as_json
from simulations.studies.samples import kept_samples
from simulations.studies.tables import Table

NAME = "kossen-ch6"
SIGMAS = {
    "small": (2.0, 1.2, 0.8, 0.65),  # enough for the trend
    "paper": tuple(run.noise_multiplier for run in RUNS if run.epochs == EPOCHS),
}
SIZES = {
    "small": Sizes(
        Hospitals(4, 12, 5, (96, 96, 48), second_testing=5), seeds=3, pairs=500, size=(64, 64), steps=200
    ),
    "paper": Sizes(
        Hospitals(1, 41, 14, (312, 384, 127), second_testing=33),
        seeds=5,
        pairs=41_000,
        size=(96, 96),
        steps=20_000,
        preset="paper",
    ),
}
IMAGES = 400  # of each kind, for FID and SSIM


def rows(preset: str) -> tuple[Row, ...]:
    """Return the rows: the sweep, then patients as the unit."""
    recipe = load("vessels-2d", VARIANT, preset)
    sweep = [Row(NOISE_FREE, "dp-wgan, noise-free", VARIANT)]
    sweep += [
        Row(f"dp-wgan-{sigma:g}", f"dp-wgan, σ = {sigma:g}", VARIANT, epsilon_at(sigma, recipe))
        for sigma in SIGMAS[preset]
    ]
    patients = [
        Row(f"{variant}-eps{epsilon:g}", f"{variant}, ε at most {epsilon:g}, unit: patient", variant, epsilon)
        for variant, epsilon in (("private", 8.0), ("private-calibrated", 8.0), ("private-calibrated", 3.0))
    ]
    return (REAL, PUBLIC, *sweep, *patients)


def account(out: Path, cell: Cell) -> Json:
    """Return what the paper's run with one noise multiplier cost, as its released loop ran."""
    (run,) = (run for run in RUNS if [run.noise_multiplier, run.epochs] == cell.settings["run"])
    return as_json(cost(released(run), DELTA))


def run(bench: Bench, sizes: Sizes, chosen: Sequence[Row]) -> tuple[Findings, list[Done]]:
    """Compute the study, or what is missing of it; return what was found, and the cells it came from."""
    cells = {at: Cell(f"account-{at[0]:g}-{at[1]}", {"run": list(at)}) for at in PRINTED}
    accounts = bench.compute("accounting", list(cells.values()), account)
    tests = {
        HELD_OUT: bench.phantoms("held-out", sizes.hospitals.to_test()),
        SECOND_SITE: bench.phantoms("second-site", sizes.hospitals.second_site(to_test=True)),
    }
    comparison = compare(bench, sizes, chosen)
    judged = comparison.judged(tests, [Tissue.INTRACRANIAL])
    looks = comparison.looked_at(tests[HELD_OUT], min(IMAGES, sizes.pairs))
    found = Found(comparison, judged, looks, {at: accounts[cell.name].result for at, cell in cells.items()})
    table = Table(NAME, title(sizes, looks), COLUMNS, lines(found), notes(found))
    figures = {
        f"{NAME}.png": curves(panels(found), f"ε of our run (δ = {OUR_DELTA:g}; add/remove; PLD)", log_x=True),
        f"{NAME}-samples.png": sample_grid(
            {row.name: kept_samples(bench.out, f"judge-{row.key}-1") for row in chosen}, PRICED
        ),
    }
    done = [*accounts.values(), *comparison.runs.values(), *judged.values(), *looks.values()]
    return Findings((table,), figures), done
