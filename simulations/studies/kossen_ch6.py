"""Chapter 6 of Kossen's thesis: a DP-WGAN on vessel patches, over noise multipliers (Kossen et al., 2022).

As in the paper the unit is the patch and each run has its own noise multiplier. Beside the ε the paper printed
stands what its released loop cost, and what this study's own run costs; beside the rows of the paper, rows whose
unit is the patient.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.canonical import Json
from shared.evaluation.utility import Tissue
from shared.privacy.accounting import cost, format_epsilon
from shared.recipes.catalogue import load
from shared.recipes.vessel_records import PATCHES
from simulations.studies import papers
from simulations.studies.bench import Bench, Findings
from simulations.studies.cells import Cell, Done
from simulations.studies.cohorts import Hospitals
from simulations.studies.figures import Curve, Panel, curves, sample_grid
from simulations.studies.kossen_accounting import DELTA, RUNS, released
from simulations.studies.noise import epsilon_at
from simulations.studies.rows import (
    HELD_OUT,
    PUBLIC,
    REAL,
    SECOND_SITE,
    Comparison,
    Row,
    Sizes,
    by_seed,
    claim,
    compare,
    scores_of,
    spread_of,
)
from simulations.studies.runs import DELTA as OUR_DELTA
from simulations.studies.runs import as_json
from simulations.studies.samples import kept_samples
from simulations.studies.tables import Column, Spread, Table, Value

NAME = "kossen-ch6"
VARIANT = "dp-wgan"
ROUNDS = {"small": 60, "paper": None}  # critic and generator move alternately; None: the recipe's
SIGMAS = tuple(run.noise_multiplier for run in RUNS if run.epochs == 50)
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
COLUMNS = (
    Column("trained on"),
    Column("noise multiplier", 3),
    Column("paper: ε as printed (δ = 1/41000; patch; add/remove; RDP)", 1),
    Column("paper: ε its loop cost (δ = 1/41000; patch; add/remove; PLD)"),
    Column("privacy of our run"),
    Column("Dice", 3),
    Column("paper: Dice", 2),
    Column("Dice, second site", 3),
    Column("paper: Dice, second site", 2),
    Column("FID to training patients", 1),
    Column("paper: FID to training patients", 0),
    Column("FID to test patients", 1),
    Column("SSIM between samples", 3),
)
NOISE_FREE, EPOCHS = "dp-wgan-noise-free", 50
_PRINTED = {(run.noise_multiplier, run.epochs): run for run in RUNS}
IMAGES = 400  # of each kind, for FID and SSIM


def rows(preset: str) -> tuple[Row, ...]:
    """Return the rows: the sweep, then patients as the unit."""
    recipe, rounds = load("vessels-2d", VARIANT, preset), ROUNDS[preset]
    sweep = [Row(NOISE_FREE, "dp-wgan, noise-free", VARIANT, rounds=rounds)]
    sweep += [
        Row(f"dp-wgan-{sigma:g}", f"dp-wgan, σ = {sigma:g}", VARIANT, epsilon_at(sigma, recipe, rounds), rounds)
        for sigma in SIGMAS
    ]
    patients = [
        Row(f"{variant}-eps{epsilon:g}", f"{variant}, ε at most {epsilon:g}, unit: patient", variant, epsilon)
        for variant, epsilon in (("wgan", 8.0), ("private-calibrated", 8.0), ("private-calibrated", 3.0))
    ]
    return (REAL, PUBLIC, *sweep, *patients)


def account(out: Path, cell: Cell) -> Json:
    """Return what the paper's run with one noise multiplier cost, as its released loop ran."""
    (run,) = (run for run in RUNS if [run.noise_multiplier, run.epochs] == cell.settings["run"])
    return as_json(cost(released(run), DELTA))


def run(bench: Bench, sizes: Sizes, chosen: Sequence[Row]) -> tuple[Findings, list[Done]]:
    """Compute the study, or what is missing of it; return what was found, and the cells it came from."""
    cells = {at: Cell(f"account-{at[0]:g}-{at[1]}", {"run": list(at)}) for at in _PRINTED}
    accounts = bench.compute("accounting", list(cells.values()), account)
    tests = {
        HELD_OUT: bench.phantoms("held-out", sizes.hospitals.to_test()),
        SECOND_SITE: bench.phantoms("second-site", sizes.hospitals.second_site(to_test=True)),
    }
    comparison = compare(bench, sizes, chosen)
    judged = comparison.judged(tests, [Tissue.INTRACRANIAL])
    looks = comparison.looked_at(tests[HELD_OUT], min(IMAGES, sizes.pairs))
    found = _Found(comparison, judged, looks, {at: accounts[cell.name].result for at, cell in cells.items()})
    table = Table(NAME, _title(sizes, looks), COLUMNS, _lines(found), _notes(sizes))
    figures = {
        f"{NAME}.png": curves(_panels(found), f"ε of our run (δ = {OUR_DELTA:g}; add/remove; PLD)", log_x=True),
        f"{NAME}-samples.png": sample_grid(
            {row.name: kept_samples(bench.out, f"judge-{row.key}-1") for row in chosen}
        ),
    }
    done = [*accounts.values(), *comparison.runs.values(), *judged.values(), *looks.values()]
    return Findings((table,), figures), done


@dataclass(frozen=True)
class _Found:
    comparison: Comparison
    judged: Mapping[tuple[str, int], Done]
    looks: Mapping[tuple[str, int], Done]
    accounts: Mapping[tuple[float, int], Any]

    def dice(self, row: Row, test: str) -> Spread:
        """Mean and SD over seeds of the mean Dice over patients."""
        return Spread.of(scores_of(self.judged, row, test, Tissue.INTRACRANIAL).mean(axis=1))

    def looked(self, row: Row, measure: str) -> Spread | None:
        """Mean and SD over seeds; None where it could not be taken."""
        return spread_of(by_seed(self.looks, row), measure)

    def sigma(self, row: Row) -> float | None:
        """The noise multiplier of a row's runs."""
        return self.comparison.runs[row.key, 1].result["noise_multiplier"] if row.epsilon else None


def _lines(found: _Found) -> tuple[tuple[Value, ...], ...]:
    lines: list[tuple[Value, ...]] = []
    for row in found.comparison.rows:
        sigma = found.sigma(row)
        of_paper = (sigma, EPOCHS) if row.variant == VARIANT and sigma is not None else None
        printed = {REAL.key: "real", NOISE_FREE: "noise-free"}.get(row.key, "")
        lines.append(
            (
                row.name,
                sigma,
                *_epsilons(of_paper, found),
                claim(found.comparison, row),
                found.dice(row, HELD_OUT),
                papers.DICE_DP.get(printed),
                found.dice(row, SECOND_SITE),
                papers.DICE_DP_SECOND.get(printed),
                found.looked(row, "fid_training"),
                _printed_fid(row, sigma),
                found.looked(row, "fid_held_out"),
                found.looked(row, "ssim"),
            )
        )
    best = (papers.BEST_SIGMA, papers.BEST_EPOCHS)
    lines.append(
        (
            f"the paper's best: σ = {best[0]:g} for {best[1]} epochs",
            best[0],
            *_epsilons(best, found),
            *(None, None, papers.DICE_DP["best"], None, papers.DICE_DP_SECOND["best"], None, None, None, None),
        )
    )
    return tuple(lines)


def _epsilons(of_paper: tuple[float, int] | None, found: _Found) -> tuple[Value, Value]:
    """Return the ε the paper printed for a run, and what its loop cost."""
    if of_paper not in _PRINTED:
        return None, None
    return _PRINTED[of_paper].printed, format_epsilon(found.accounts[of_paper]["epsilon"])


def _printed_fid(row: Row, sigma: float | None) -> Value:
    return papers.FID_DP.get(sigma) if row.variant == VARIANT else None


def _panels(found: _Found) -> list[Panel]:
    def measure(title: str, y: str, value: Callable[[Row], Spread | None]) -> Panel:
        rows = found.comparison.rows
        lines = [
            _curve(f"{VARIANT} (unit: patch)", [row for row in rows if row.variant == VARIANT], found, value),
            *(
                _curve(f"{variant} (unit: patient)", [row for row in rows if row.variant == variant], found, value)
                for variant in dict.fromkeys(row.variant for row in rows)
                if variant not in ("", VARIANT)
            ),
        ]
        levels = {row.name: spread.mean for row in rows if row.epsilon is None and (spread := value(row))}
        return Panel(title, y, lines, levels)

    return [
        measure("Dice on test patients", "Dice inside the brain", lambda row: found.dice(row, HELD_OUT)),
        measure("FID to training patients", "FID", lambda row: found.looked(row, "fid_training")),
        measure("FID to test patients", "FID", lambda row: found.looked(row, "fid_held_out")),
        measure("Similarity of samples", "SSIM", lambda row: found.looked(row, "ssim")),
    ]


def _curve(name: str, rows: Sequence[Row], found: _Found, value: Callable[[Row], Spread | None]) -> Curve:
    """Return one line over ε, from the least ε on; rows without noise have no place on it."""
    points = sorted(
        (found.comparison.runs[row.key, 1].result["epsilon"], spread.mean, spread.sd)
        for row in rows
        if row.epsilon is not None and (spread := value(row)) is not None
    )
    x, mean, sd = ([point[part] for point in points] for part in range(3))
    return Curve(name, x, mean, sd)


def _title(sizes: Sizes, looks: Mapping[tuple[str, int], Done]) -> str:
    network = next(iter(looks.values())).result["network"]
    return (
        f"Kossen et al. 2022: {sizes.pairs} pairs a row, {sizes.seeds} seeds, mean ± SD over seeds; "
        f"FID features: {network}"
    )


def _notes(sizes: Sizes) -> tuple[str, ...]:
    said = [
        "The paper's Dice is ± SD over patients, its FID of Inception features: compare its order, not its size.",
        "The paper reused a batch for five critic updates and counted fresh ones; here each update draws afresh, "
        "so what our run is charged is what it cost. `willis study kossen-accounting` has all readings.",
        f"Where the unit is the patch, ε is a patch's: what is learnt about a patient, who has up to "
        f"{PATCHES[sizes.preset]} patches, is bounded by far more, next to nothing.",
        "Runs are seeded, hence simulations: whoever knows the seed can undo the noise.",
    ]
    return tuple(said)
