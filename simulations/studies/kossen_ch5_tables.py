"""The tables of `kossen_ch5`: what four 3D GANs are worth and cost (Subramaniam et al., 2022)."""

from collections.abc import Mapping

from shared.evaluation.utility import Tissue
from simulations.studies import papers
from simulations.studies.cells import Done
from simulations.studies.rows import (
    HELD_OUT,
    PRICED,
    PUBLIC,
    SECOND_SITE,
    Comparison,
    by_seed,
    claim,
    mean_of,
    spread_of,
    updates,
)
from simulations.studies.tables import Column, Table, Value

NAME = "kossen-ch5"


def quality_table(comparison: Comparison, looks: Mapping[tuple[str, int], Done]) -> Table:
    """Return FID, PRD and SSIM of every row beside the paper's."""
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
        updates(comparison),
        PRICED,
        f"FID and PRD to training patients, of axial slices; features: {network}. The paper's are of volumes, by "
        "MedicalNet: compare order, not size.",
        "The row of real patients is their images against themselves, drawn anew: what real images score.",
    )
    title = f"Subramaniam et al. 2022: image quality, {comparison.sizes.seeds} seeds, mean ± SD over seeds"
    return Table(f"{NAME}-quality", title, columns, lines, notes)


def cost_table(costs: Mapping[str, Done]) -> Table:
    """Return time and memory of a step of every variant, and their ratios to the first."""
    columns = (
        Column("variant"),
        Column("million weights", 2),
        Column("paper: million weights", 0),
        Column("seconds a step", 3),
        Column("seconds, to the first", 2),
        Column("paper: hours, to the first", 2),
        Column("peak memory (MB)", 0),
        Column("memory, to the first", 2),
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


def segmentation_table(comparison: Comparison, judged: Mapping[tuple[str, int], Done], tissue: Tissue) -> Table:
    """Return Dice and bAHD on both sites beside the paper's."""
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
                line += [mean_of(judged, row, test, tissue, measure), printed[at].get(row.key)]
        lines.append(tuple(line))
    sizes = comparison.sizes
    title = f"3D U-Net trained on {sizes.pairs} pairs, {tissue.value} vessels, {sizes.seeds} seeds"
    notes = (
        "Ours: mean ± SD over seeds. The paper's: ± SD over patients; its bAVD is our bAHD, in voxels.",
        "Where a test patient has nothing found the distance is the diagonal of the image.",
        PRICED,
    )
    return Table(f"{NAME}-{tissue.value}", title, tuple(columns), tuple(lines), notes)


def private_table(comparison: Comparison, judged: Mapping[tuple[str, int], Done]) -> Table:
    """Return the private rows beside the paper's DP-WGANs."""
    columns = (Column("trained on"), Column("privacy of the run"), Column("Dice, intracranial", 3))
    lines: list[tuple[Value, ...]] = [
        (
            f"ours: {row.name}",
            claim(comparison, row),
            mean_of(judged, row, HELD_OUT, Tissue.INTRACRANIAL, "dice"),
        )
        for row in comparison.rows
        if row is PUBLIC or row.epsilon is not None
    ]
    for sigma, (order, dice) in papers.DP_3D.items():
        said = f"ε ≈ {order:g} (δ = 1/training patches; unit: patch; add/remove; RDP), as printed"
        lines.append((f"paper: 3D DP-WGAN, σ = {sigma:g}", said, dice))
    notes = ("An ε of 100 and more, for a patch, promises next to nothing, and to a patient nothing.",)
    return Table(f"{NAME}-private", "Private volumes, beside the paper's appendix B", columns, tuple(lines), notes)
