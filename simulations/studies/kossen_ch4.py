"""Chapter 4 of Kossen's thesis: vessel patches by three GANs, and what a second site gains (Kossen et al., 2021).

The paper's GANs are not private. Beside them stands the default that is, and the public simulator, which is free.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.evaluation.utility import Tissue
from simulations.studies import papers
from simulations.studies.bench import Bench, Findings
from simulations.studies.cells import Done
from simulations.studies.cohorts import Hospitals
from simulations.studies.figures import Curve, Panel, curves, sample_grid
from simulations.studies.judging import MEASURES
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
from simulations.studies.samples import kept_samples
from simulations.studies.tables import Column, Spread, Table, Value
from simulations.studies.transfer import Transfer, learning_curve

NAME = "kossen-ch4"
SIZES = {
    "small": Sizes(
        Hospitals(4, 12, 5, (96, 96, 48), second_learning=8, second_testing=6),
        seeds=3,
        pairs=500,
        size=(64, 64),
        steps=200,
    ),
    "paper": Sizes(
        Hospitals(1, 41, 14, (312, 384, 127), second_learning=8, second_testing=20),
        seeds=4,
        pairs=41_000,
        size=(96, 96),
        steps=20_000,
        preset="paper",
    ),
}
COUNTS = (1, 3, 5, 7, 9, 11, 13, 15)  # patients of the second site
PAIRS_A_PATIENT = {"small": 64, "paper": 1000}
IMAGES = 400  # of each kind, for FID
GANS = ("dcgan", "wgan-gp", "wgan-gp-sn")
PRIVATE = Row("private-calibrated-eps8", "private-calibrated, ε at most 8", "private-calibrated", 8.0)
ARMS = ("", PUBLIC.key, "wgan-gp-sn", PRIVATE.key)  # keys of what is pre-trained on; "": from scratch
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


def rows(preset: str) -> tuple[Row, ...]:
    """Return the rows of the first table; those of the paper are named by their variants."""
    return (REAL, PUBLIC, *(Row(variant, f"{variant}, not private", variant) for variant in GANS), PRIVATE)


def run(bench: Bench, sizes: Sizes, chosen: Sequence[Row]) -> tuple[Findings, list[Done]]:
    """Compute the study, or what is missing of it; return what was found, and the cells it came from."""
    tests = {
        HELD_OUT: bench.phantoms("held-out", sizes.hospitals.to_test()),
        SECOND_SITE: bench.phantoms("second-site", sizes.hospitals.second_site(to_test=True)),
    }
    learning = bench.phantoms("second-site", sizes.hospitals.second_site(to_test=False))
    comparison = compare(bench, sizes, chosen)
    judged = comparison.judged(tests, [Tissue.INTRACRANIAL])
    looks = comparison.looked_at(tests[HELD_OUT], min(IMAGES, sizes.pairs))
    arms = {row.key: f"pre-trained on: {row.name}" for row in chosen if row.key in ARMS}
    curves_of = _learning_curves(comparison, {"": "from scratch", **arms}, learning, tests[SECOND_SITE])
    ceiling = scores_of(judged, REAL, SECOND_SITE, Tissue.INTRACRANIAL).mean()
    figures = {
        f"{NAME}-transfer.png": _figure(curves_of, float(ceiling)),
        f"{NAME}-samples.png": sample_grid(
            {row.name: kept_samples(bench.out, f"judge-{row.key}-1") for row in chosen}
        ),
    }
    done = [*comparison.runs.values(), *judged.values(), *looks.values(), *curves_of.cells]
    return Findings((_quality(comparison, judged, looks), _transfer(curves_of, sizes)), figures), done


@dataclass(frozen=True)
class _Curves:
    """Learning curves: (seeds, counts, patients) of Dice and 95HD by arm."""

    counts: tuple[int, ...]
    names: Mapping[str, str]
    values: Mapping[str, np.ndarray[tuple[int, ...], np.dtype[np.float64]]]  # (seeds, counts, patients, measures)
    cells: list[Done]

    def spread(self, arm: str, count: int, measure: str) -> Spread:
        """Return mean and SD over seeds of the mean over patients."""
        place = self.counts.index(count)
        return Spread.of(self.values[arm][:, place, :, MEASURES.index(measure)].mean(axis=1))


def _learning_curves(comparison: Comparison, names: Mapping[str, str], learning: str, tests: str) -> _Curves:
    sizes = comparison.sizes
    most = 2 * sizes.hospitals.second_learning
    counts = tuple(count for count in COUNTS if count <= most)
    cells = {
        (arm, seed): Transfer(
            origin=comparison.origins[arm, seed] if arm else None,
            pairs=sizes.pairs,
            learning=learning,
            counts=counts,
            pairs_a_patient=PAIRS_A_PATIENT[sizes.preset],
            tests=tests,
            size=sizes.size,
            pretraining_steps=sizes.steps,
            steps=sizes.steps // 2,
            seed=seed,
        ).cell(f"transfer-{arm or 'scratch'}-{seed}")
        for arm in names
        for seed in sizes.draws
    }
    done = comparison.bench.compute("second site", list(cells.values()), learning_curve)
    values = {}
    for arm in names:
        results = [done[cells[arm, seed].name].result for seed in sizes.draws]
        patients = sorted(results[0][str(counts[0])])
        values[arm] = np.array([[[one[str(n)][p] for p in patients] for n in counts] for one in results])
    return _Curves(counts, names, values, list(done.values()))


def _quality(
    comparison: Comparison, judged: Mapping[tuple[str, int], Done], looks: Mapping[tuple[str, int], Done]
) -> Table:
    sizes = comparison.sizes

    def mean(row: Row, test: str, measure: str) -> Spread:
        return Spread.of(scores_of(judged, row, test, Tissue.INTRACRANIAL, measure).mean(axis=1))

    lines: list[tuple[Value, ...]] = [
        (
            row.name,
            claim(comparison, row),
            spread_of(by_seed(looks, row), "fid_training"),
            papers.FID_2D.get(row.key),
            mean(row, HELD_OUT, "dice"),
            papers.DICE_2D.get(row.key),
            mean(row, HELD_OUT, "95HD"),
            papers.HD95_2D.get(row.key),
            mean(row, SECOND_SITE, "dice"),
            papers.DICE_2D_SECOND.get(row.key),
            mean(row, SECOND_SITE, "95HD"),
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
        "The paper's FID is of Inception features and its images are real patients': compare order, not size.",
        "The row of real patients is their FID against themselves, drawn anew: what real images score.",
        "Runs are seeded, hence simulations; those without noise may not be published.",
    )
    return Table(NAME, title, COLUMNS, tuple(lines), notes)


def _transfer(found: _Curves, sizes: Sizes) -> Table:
    columns = (
        Column("patients of the second site"),
        *(
            Column(f"{measure}, {name}", 3 if measure == "dice" else 1)
            for measure in ("dice", "95HD")
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
    notes = ("The paper's other values are in its figure 3 only. 95HD in mm.",)
    return Table(f"{NAME}-transfer", title, columns, lines, notes)


def _figure(found: _Curves, ceiling: float) -> bytes:
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
    return curves(panels, "patients of the second site learnt from")
