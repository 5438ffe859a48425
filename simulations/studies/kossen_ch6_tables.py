"""The table and the figure of `kossen_ch6`: a DP-WGAN over noise, beside what Kossen et al. (2022) printed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.evaluation.utility import Tissue
from shared.privacy.accounting import format_epsilon
from shared.recipes.vessel_records import PATCHES
from simulations.studies import papers
from simulations.studies.cells import Done
from simulations.studies.figures import Curve, Panel
from simulations.studies.kossen_accounting import BATCHES, RUNS, UPDATES
from simulations.studies.rows import (
    HELD_OUT,
    REAL,
    SECOND_SITE,
    Comparison,
    Row,
    Sizes,
    by_seed,
    claim,
    mean_of,
    spread_of,
)
from simulations.studies.tables import Column, Spread, Value

VARIANT = "dp-wgan"
NOISE_FREE, EPOCHS = "dp-wgan-noise-free", 50
PRINTED = {(run.noise_multiplier, run.epochs): run for run in RUNS}
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


@dataclass(frozen=True)
class Found:
    """What the cells found: runs, what they are worth, how they look, and the paper's runs priced."""

    comparison: Comparison
    judged: Mapping[tuple[str, int], Done]
    looks: Mapping[tuple[str, int], Done]
    accounts: Mapping[tuple[float, int], Any]

    def dice(self, row: Row, test: str) -> Spread:
        """Mean and SD over seeds of the mean Dice over patients."""
        return mean_of(self.judged, row, test, Tissue.INTRACRANIAL)

    def looked(self, row: Row, measure: str) -> Spread | None:
        """Mean and SD over seeds; None where it could not be taken."""
        return spread_of(by_seed(self.looks, row), measure)

    def sigma(self, row: Row) -> float | None:
        """The noise multiplier of a row's runs."""
        return self.comparison.runs[row.key, 1].result["noise_multiplier"] if row.epsilon else None


def lines(found: Found) -> tuple[tuple[Value, ...], ...]:
    """Return a line for each row, then the paper's best model."""
    rows: list[tuple[Value, ...]] = []
    for row in found.comparison.rows:
        sigma = found.sigma(row)
        of_paper = (sigma, EPOCHS) if row.variant == VARIANT and sigma is not None else None
        printed = {REAL.key: "real", NOISE_FREE: "noise-free"}.get(row.key, "")
        rows.append(
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
    rows.append(
        (
            f"the paper's best: σ = {best[0]:g} for {best[1]} epochs",
            best[0],
            *_epsilons(best, found),
            *(None, None, papers.DICE_DP["best"], None, papers.DICE_DP_SECOND["best"], None, None, None, None),
        )
    )
    return tuple(rows)


def _epsilons(of_paper: tuple[float, int] | None, found: Found) -> tuple[Value, Value]:
    """Return the ε the paper printed for a run, and what its loop cost."""
    if of_paper not in PRINTED:
        return None, None
    return PRINTED[of_paper].printed, format_epsilon(found.accounts[of_paper]["epsilon"])


def _printed_fid(row: Row, sigma: float | None) -> Value:
    return papers.FID_DP.get(sigma) if row.variant == VARIANT else None


def panels(found: Found) -> list[Panel]:
    """Return Dice, FID and similarity over ε, one line a unit."""

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


def _curve(name: str, rows: Sequence[Row], found: Found, value: Callable[[Row], Spread | None]) -> Curve:
    """Return one line over ε, from the least ε on; rows without noise have no place on it."""
    points = sorted(
        (found.comparison.runs[row.key, 1].result["epsilon"], spread.mean, spread.sd)
        for row in rows
        if row.epsilon is not None and (spread := value(row)) is not None
    )
    x, mean, sd = ([point[part] for point in points] for part in range(3))
    return Curve(name, x, mean, sd)


def title(sizes: Sizes, looks: Mapping[tuple[str, int], Done]) -> str:
    """Return what the table is of."""
    network = next(iter(looks.values())).result["network"]
    return (
        f"Kossen et al. 2022: {sizes.pairs} pairs a row, {sizes.seeds} seeds, mean ± SD over seeds; "
        f"FID features: {network}"
    )


def notes(found: Found) -> tuple[str, ...]:
    """Return what must be said of it."""
    steps = {
        row.key: found.comparison.runs[row.key, 1].result["steps"] for row in found.comparison.rows if row.variant
    }
    made = max(count for key, count in steps.items() if key.startswith(VARIANT))
    patches = PATCHES[found.comparison.sizes.preset]
    return (
        f"Each {VARIANT} made {made:,} critic updates, the paper's {EPOCHS * BATCHES * UPDATES:,}: where "
        "ours are far fewer, the sweep tries the machinery and says nothing of the method.",
        "The paper's Dice is ± SD over patients, its FID of Inception features: compare its order, not its size.",
        "The paper reused a batch for five critic updates and counted fresh ones; here each update draws afresh, "
        "so what our run is charged is what it cost. `willis study kossen-accounting` has all readings.",
        f"Where the unit is the patch, ε is a patch's: what is learnt about a patient, who has up to {patches:,}, "
        "is bounded by far more, next to nothing.",
        "Runs are seeded, hence simulations: whoever knows the seed can undo the noise.",
    )
