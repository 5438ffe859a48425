"""Chapter 4 of Kossen's thesis: vessel patches by three GANs, and what a second site gains (Kossen et al., 2021).

The paper's GANs are not private. Beside them stands the default that is, and the public simulator, which is free.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from shared.evaluation.utility import Tissue
from shared.recipes.vessel_records import PATCHES
from simulations.studies.bench import Bench, Findings
from simulations.studies.cells import Done
from simulations.studies.cohorts import Hospitals
from simulations.studies.figures import sample_grid
from simulations.studies.kossen_ch4_tables import NAME, Curves, quality_table, transfer_figure, transfer_table
from simulations.studies.rows import (
    GAN_ROUNDS,
    HELD_OUT,
    PRICED,
    PUBLIC,
    REAL,
    SECOND_SITE,
    Comparison,
    Row,
    Sizes,
    compare,
    scores_of,
)
from simulations.studies.samples import kept_samples
from simulations.studies.transfer import Transfer, learning_curve

SIZES = {
    "small": Sizes(
        Hospitals(4, 8, 5, (96, 96, 48), second_learning=8, second_testing=6),
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
COUNTS = {"small": (1, 3, 7, 15), "paper": (1, 3, 5, 7, 9, 11, 13, 15)}  # patients of the second site
IMAGES = 400  # of each kind, for FID
GANS = ("dcgan", "wgan-gp", "wgan-gp-sn")
PRIVATE = Row("private-calibrated-eps8", "private-calibrated, ε at most 8", "private-calibrated", 8.0)
ARMS = ("", PUBLIC.key, "wgan-gp-sn", PRIVATE.key)  # keys of what is pre-trained on; "": from scratch


def rows(preset: str) -> tuple[Row, ...]:
    """Return the rows of the first table; those of the paper are named by their variants."""
    return (REAL, PUBLIC, *(Row(v, f"{v}, not private", v, rounds=GAN_ROUNDS[preset]) for v in GANS), PRIVATE)


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
        f"{NAME}-transfer.png": transfer_figure(curves_of, float(ceiling)),
        f"{NAME}-samples.png": sample_grid(
            {row.name: kept_samples(bench.out, f"judge-{row.key}-1") for row in chosen}, PRICED
        ),
    }
    done = [*comparison.runs.values(), *judged.values(), *looks.values(), *curves_of.cells]
    return Findings((quality_table(comparison, judged, looks), transfer_table(curves_of, sizes)), figures), done


def _learning_curves(comparison: Comparison, names: Mapping[str, str], learning: str, tests: str) -> Curves:
    sizes = comparison.sizes
    most = 2 * sizes.hospitals.second_learning
    counts = tuple(count for count in COUNTS[sizes.preset] if count <= most)
    cells = {
        (arm, seed): Transfer(
            origin=comparison.origins[arm, seed] if arm else None,
            pairs=sizes.pairs,
            learning=learning,
            counts=counts,
            pairs_a_patient=PATCHES[sizes.preset],
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
    return Curves(counts, names, values, list(done.values()))
