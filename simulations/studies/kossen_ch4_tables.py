"""The tables and the figure of `kossen_ch4`: three 2D GANs, and sharing simulated (Kossen et al., 2021)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shared.evaluation.utility import Tissue
from simulations.studies import papers
from simulations.studies.cells import Done
from simulations.studies.figures import Curve, Panel, curves
from simulations.studies.judging import MEASURES
from simulations.studies.rows import (
    HELD_OUT,
    PRICED,
    SECOND_SITE,
    Comparison,
    Sizes,
    by_seed,
    claim,
    mean_of,
    spread_of,
    updates,
)
from simulations.studies.tables import Column, Spread, Table, Value

NAME = "kossen-ch4"
COLUMNS = (
    Column("trained on"),
    Column("privacy of the run"),
    Column("FID", 1),
    Column("paper: FID", 1),
    Column("Dice", 3),
    Column("paper: Dice", 3),
    Column("95HD (mm)", 1),
    Column("paper: 95HD (mm)", 1),
    Column("Dice, second site", 3),
    Column("paper: Dice, second site", 3),
    Column("95HD, second site (mm)", 1),
    Column("paper: 95HD, second site (mm)", 1),
)


@dataclass(frozen=True)
class Curves:
    """Learning curves: (seeds, counts, patients) of Dice and 95HD by arm."""

    counts: tuple[int, ...]
    names: Mapping[str, str]
    values: Mapping[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]  # (seeds, counts, patients, measures)
    cells: list[Done]

    def spread(self, arm: str, count: int, measure: str) -> Spread:
        """Return mean and SD over seeds of the mean over patients."""
        place = self.counts.index(count)
        return Spread.of(self.values[arm][:, place, :, MEASURES.index(measure)].mean(axis=1))


def quality_table(
    comparison: Comparison, judged: Mapping[tuple[str, int], Done], looks: Mapping[tuple[str, int], Done]
) -> Table:
    """Return FID, Dice and 95HD of every row beside the paper's."""
    sizes = comparison.sizes

    lines: list[tuple[Value, ...]] = [
        (
            row.name,
            claim(comparison, row),
            spread_of(by_seed(looks, row), "fid_training"),
            papers.FID_2D.get(row.key),
            mean_of(judged, row, HELD_OUT, Tissue.INTRACRANIAL, "dice"),
            papers.DICE_2D.get(row.key),
            mean_of(judged, row, HELD_OUT, Tissue.INTRACRANIAL, "95HD"),
            papers.HD95_2D.get(row.key),
            mean_of(judged, row, SECOND_SITE, Tissue.INTRACRANIAL, "dice"),
            papers.DICE_2D_SECOND.get(row.key),
            mean_of(judged, row, SECOND_SITE, Tissue.INTRACRANIAL, "95HD"),
            papers.HD95_2D_SECOND.get(row.key),
        )
        for row in comparison.rows
    ]
    network = next(iter(looks.values())).result["network"]
    title = (
        f"Kossen et al. 2021: {sizes.pairs} pairs a row, {sizes.seeds} seeds, mean ± SD over seeds; inside the "
        f"brain; FID to training patients, features: {network}"
    )
    notes = (
        updates(comparison),
        "The paper's FID is of Inception features and its images are real patients': compare order, not size.",
        "The row of real patients is their FID against themselves, drawn anew: what real images score.",
        "Runs are seeded, hence simulations; those without noise may not be published.",
    )
    return Table(NAME, title, COLUMNS, tuple(lines), notes)


def transfer_table(found: Curves, sizes: Sizes) -> Table:
    """Return Dice and 95HD by number of second-site patients, an arm a column."""
    columns = (
        Column("patients of the second site"),
        *(
            Column(f"{heading}, {name}", digits)
            for heading, digits in (("Dice", 3), ("95HD", 1))
            for name in found.names.values()
        ),
        Column("paper: Dice, from scratch", 2),
        Column("paper: Dice, pre-trained on wgan-gp-sn", 2),
    )
    lines = tuple(
        (
            str(count),
            *(found.spread(arm, count, measure) for measure in ("dice", "95HD") for arm in found.names),
            papers.TRANSFER_SCRATCH.get(count),
            papers.TRANSFER_PRETRAINED.get(count),
        )
        for count in found.counts
    )
    patients = next(iter(found.values.values())).shape[2]
    title = f"Fine-tuned at the second site: {patients} test patients, {sizes.seeds} seeds, mean ± SD over seeds"
    notes = ("The paper's other values are in its figure 3 only. 95HD in mm.", PRICED)
    return Table(f"{NAME}-transfer", title, columns, lines, notes)


def transfer_figure(found: Curves, ceiling: float) -> bytes:
    """Return the learning curves as PNG; `ceiling` is the Dice of the first sites' patients there."""
    panels = []
    for title, y, measure in (("Dice", "Dice inside the brain", "dice"), ("95HD", "95HD (mm)", "95HD")):
        lines = []
        for arm, name in found.names.items():
            spreads = [found.spread(arm, count, measure) for count in found.counts]
            lines.append(Curve(name, found.counts, [s.mean for s in spreads], [s.sd for s in spreads]))
        if measure == "dice":
            for name, values in (
                ("scratch", papers.TRANSFER_SCRATCH),
                ("pre-trained", papers.TRANSFER_PRETRAINED),
            ):
                lines.append(
                    Curve(f"paper (real patients), {name}", list(values), list(values.values()), published=True)
                )
        levels = {"real patients of the first sites": ceiling} if measure == "dice" else None
        panels.append(Panel(f"{title} on the second site's test patients", y, lines, levels))
    return curves(panels, f"patients of the second site learnt from\n({PRICED})")
