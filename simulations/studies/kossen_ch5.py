"""Chapter 5 of Kossen's thesis: vessel volumes with labels by four 3D GANs (Subramaniam et al., 2022).

The paper's four are not private. Beside them stand the private variant, the public simulator, which is free, and
what the paper's appendix B printed for a DP-WGAN whose unit is one volume patch.
"""

from collections.abc import Sequence

from shared.evaluation.utility import Tissue
from simulations.studies.bench import Bench, Findings
from simulations.studies.cells import Done
from simulations.studies.cohorts import Hospitals
from simulations.studies.figures import sample_grid
from simulations.studies.kossen_ch5_tables import (
    NAME,
    cost_table,
    private_table,
    quality_table,
    segmentation_table,
)
from simulations.studies.rows import GAN_ROUNDS, HELD_OUT, PRICED, PUBLIC, REAL, SECOND_SITE, Row, Sizes, compare
from simulations.studies.samples import kept_samples
from simulations.studies.step_cost import Stepping, step_cost

SIZES = {
    "small": Sizes(
        Hospitals(4, 10, 3, (64, 64, 32), second_testing=3),
        seeds=3,
        pairs=150,
        size=(32, 32, 16),
        steps=150,
        recipe="vessels-3d",
    ),
    "paper": Sizes(
        Hospitals(1, 47, 13, (312, 384, 127), second_testing=33),
        seeds=3,
        pairs=11_750,
        size=(128, 128, 64),
        steps=20_000,
        preset="paper",
        recipe="vessels-3d",
    ),
}
GANS = ("gp", "sn", "sn-mp", "c-sn-mp")
TIMED_STEPS = 5
IMAGES = 150  # volumes of each kind, and as many slices of them
TISSUES = (Tissue.ALL, Tissue.INTRACRANIAL)


def rows(preset: str) -> tuple[Row, ...]:
    """Return the rows; those of the paper are named by their variants."""
    private = Row("private-eps8", "private, ε at most 8", "private", 8.0)
    return (REAL, PUBLIC, *(Row(v, f"{v}, not private", v, rounds=GAN_ROUNDS[preset]) for v in GANS), private)


def run(bench: Bench, sizes: Sizes, chosen: Sequence[Row]) -> tuple[Findings, list[Done]]:
    """Compute the study, or what is missing of it; return what was found, and the cells it came from."""
    variants = [row.variant for row in chosen if row.variant]
    cells = {
        variant: Stepping(
            recipe=sizes.recipe, variant=variant, preset=sizes.preset, size=sizes.size, steps=TIMED_STEPS
        ).cell(f"step-{variant}")
        for variant in variants
    }
    alone = Bench(bench.out, 1, bench.report)  # side by side they would slow each other down
    costs = alone.compute("time and memory", list(cells.values()), step_cost)
    tests = {
        HELD_OUT: bench.phantoms("held-out", sizes.hospitals.to_test()),
        SECOND_SITE: bench.phantoms("second-site", sizes.hospitals.second_site(to_test=True)),
    }
    comparison = compare(bench, sizes, chosen)
    judged = comparison.judged(tests, TISSUES)
    looks = comparison.looked_at(tests[HELD_OUT], min(IMAGES, sizes.pairs))
    tables = (
        quality_table(comparison, looks),
        cost_table({variant: costs[cell.name] for variant, cell in cells.items()}),
        *(segmentation_table(comparison, judged, tissue) for tissue in TISSUES),
        private_table(comparison, judged),
    )
    figures = {
        f"{NAME}-samples.png": sample_grid(
            {row.name: kept_samples(bench.out, f"judge-{row.key}-1") for row in chosen}, PRICED
        )
    }
    return Findings(tables, figures), [
        *costs.values(),
        *comparison.runs.values(),
        *judged.values(),
        *looks.values(),
    ]
