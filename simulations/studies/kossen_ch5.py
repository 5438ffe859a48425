"""Chapter 5 of Kossen's thesis: vessel volumes with labels by four 3D GANs (Subramaniam et al., 2022).

The paper's four are not private. Beside them stand the private variant, the public simulator, which is free, and
what the paper's appendix B printed for a DP-WGAN whose unit is one volume patch.
"""

from collections.abc import Mapping, Sequence

from shared.evaluation.utility import Tissue
from simulations.studies import papers
from simulations.studies.bench import Bench, Findings
from simulations.studies.cells import Done
from simulations.studies.cohorts import Hospitals
from simulations.studies.figures import sample_grid
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
from simulations.studies.step_cost import Stepping, step_cost
from simulations.studies.tables import Column, Spread, Table, Value

NAME = "kossen-ch5"
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
    return (REAL, PUBLIC, *(Row(variant, f"{variant}, not private", variant) for variant in GANS), private)


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
        _quality(comparison, looks),
        _cost({variant: costs[cell.name] for variant, cell in cells.items()}),
        *(_segmentation(comparison, judged, tissue) for tissue in TISSUES),
        _private(comparison, judged),
    )
    figures = {
        f"{NAME}-samples.png": sample_grid(
            {row.name: kept_samples(bench.out, f"judge-{row.key}-1") for row in chosen}
        )
    }
    return Findings(tables, figures), [
        *costs.values(),
        *comparison.runs.values(),
        *judged.values(),
        *looks.values(),
    ]


def _quality(comparison: Comparison, looks: Mapping[tuple[str, int], Done]) -> Table:
    columns = (
        Column("images of"),
        Column("FID", 2),
        Column("paper: FID", 4),
        Column("PRD-AUC", 2),
        Column("paper: PRD-AUC", 2),
        Column("SSIM between samples", 3),
    )
    lines = tuple(
        (
            row.name,
            spread_of(by_seed(looks, row), "fid_training"),
            papers.FID_3D.get(row.key),
            spread_of(by_seed(looks, row), "prd_area"),
            papers.PRD_3D.get(row.key),
            spread_of(by_seed(looks, row), "ssim"),
        )
        for row in comparison.rows
    )
    network = next(iter(looks.values())).result["network"]
    notes = (
        f"FID and PRD to training patients, of axial slices; features: {network}. The paper's are of volumes, by "
        "MedicalNet: compare order, not size.",
        "The row of real patients is their images against themselves, drawn anew: what real images score.",
    )
    title = f"Subramaniam et al. 2022: image quality, {comparison.sizes.seeds} seeds, mean ± SD over seeds"
    return Table(f"{NAME}-quality", title, columns, lines, notes)


def _cost(costs: Mapping[str, Done]) -> Table:
    columns = (
        Column("variant"),
        Column("million weights", 2),
        Column("paper: million weights", 0),
        Column("seconds a step", 3),
        Column("to the first", 2),
        Column("paper: hours, to the first", 2),
        Column("peak memory (MB)", 0),
        Column("to the first", 2),
        Column("paper: memory, to the first", 2),
    )
    results = {variant: done.result for variant, done in costs.items()}
    first = next(iter(results))
    lines = tuple(
        (
            variant,
            one["parameters"],
            papers.PARAMETERS_3D.get(variant),
            one["step_seconds"],
            one["step_seconds"] / results[first]["step_seconds"],
            _ratio(papers.HOURS_3D, variant, first),
            one["peak_bytes"] / 1e6,
            one["peak_bytes"] / max(results[first]["peak_bytes"], 1),
            _ratio(papers.MEMORY_3D, variant, first),
        )
        for variant, one in results.items()
    )
    notes = (
        f"A step is one of critic and one of generator, without noise, on {results[first]['device']}; peak memory "
        "is what they add to a process that has loaded all libraries. The paper measured a GPU.",
    )
    return Table(f"{NAME}-cost", "Subramaniam et al. 2022: time and memory", columns, lines, notes)


def _ratio(printed: Mapping[str, int], variant: str, first: str) -> Value:
    return printed[variant] / printed[first] if variant in printed and first in printed else None


def _segmentation(comparison: Comparison, judged: Mapping[tuple[str, int], Done], tissue: Tissue) -> Table:
    columns = [Column("trained on")]
    for test in (HELD_OUT, SECOND_SITE):
        columns += [
            Column(f"Dice, {test}", 3),
            Column(f"paper: Dice, {test}", 3),
            Column(f"bAHD, {test} (mm)", 2),
            Column(f"paper: bAVD, {test} (voxels)", 2),
        ]
    lines = []
    for row in comparison.rows:
        line: list[Value] = [row.name]
        for test in (HELD_OUT, SECOND_SITE):
            at = (tissue.value, test)
            for measure, printed in (("dice", papers.DICE_3D), ("bAHD", papers.BAVD_3D)):
                line += [_mean(judged, row, test, tissue, measure), printed[at].get(row.key)]
        lines.append(tuple(line))
    sizes = comparison.sizes
    title = f"3D U-Net trained on {sizes.pairs} pairs, {tissue.value} vessels, {sizes.seeds} seeds"
    notes = (
        "Ours: mean ± SD over seeds. The paper's: ± SD over patients; its bAVD is our bAHD, in voxels.",
        "Where a test patient has nothing found the distance is the diagonal of the image.",
    )
    return Table(f"{NAME}-{tissue.value}", title, tuple(columns), tuple(lines), notes)


def _private(comparison: Comparison, judged: Mapping[tuple[str, int], Done]) -> Table:
    columns = (Column("trained on"), Column("privacy of the run"), Column("Dice, intracranial", 3))
    lines: list[tuple[Value, ...]] = [
        (
            f"ours: {row.name}",
            claim(comparison, row),
            _mean(judged, row, HELD_OUT, Tissue.INTRACRANIAL, "dice"),
        )
        for row in comparison.rows
        if row is PUBLIC or row.epsilon is not None
    ]
    for sigma, (order, dice) in papers.DP_3D.items():
        said = f"ε ≈ {order:g} (δ = 1/training patches; unit: patch; add/remove; RDP), as printed"
        lines.append((f"paper: 3D DP-WGAN, σ = {sigma:g}", said, dice))
    notes = ("An ε of 100 and more, for a patch, promises next to nothing, and to a patient nothing.",)
    return Table(f"{NAME}-private", "Private volumes, beside the paper's appendix B", columns, tuple(lines), notes)


def _mean(judged: Mapping[tuple[str, int], Done], row: Row, test: str, tissue: Tissue, measure: str) -> Spread:
    return Spread.of(scores_of(judged, row, test, tissue, measure).mean(axis=1))
