"""`willis evaluate`: what a published data set is worth, beside real patients and the free simulator."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from shared.canonical import Json
    from shared.evaluation.published import Published
    from simulations.evaluation.asked import Asked

SIMULATION_ONLY = (
    "Simulation only: figures on patients, trained on or held out, are computed without a mechanism. "
    "They cost privacy that no ledger counts, and may not leave a hospital."
)
WIDEST = 200  # characters; no table is wider, whatever is put beside
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("run", type=_FOLDER)
@click.option("--real", type=_FOLDER, help="Hospitals the run was trained on.  [default: those RUN names]")
@click.option("--held-out", type=_FOLDER, required=True, help="Hospitals with other patients, to test on.")
@click.option("--steps", type=click.IntRange(1), default=300, help="Updates of each training, 32 pairs each.")
@click.option("--repeats", type=click.IntRange(1), default=3, help="Trainings of each kind; 1 gives no verdict.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Same seed, same figures on one machine.")
@click.option("--beside", type=_FOLDER, multiple=True, help="Another data set or samples, in a row of its own.")
@click.option("--combined", is_flag=True, help="Also train on synthetic pairs with public, and with real ones.")
@click.option(
    "--tissue",
    type=click.Choice(["intracranial", "all"]),
    default="intracranial",
    help="Vessels: judge those inside the brain mask, or all.",
)
@click.option("--quick", is_flag=True, help="Vessels: leave out image quality and its figure.")
@click.option(
    "--features",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Vessels: TorchScript network of 2D images for features.  [default: an encoder of public phantoms]",
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="JSON.  [default: beside the data set]"
)
@click.option(
    "--outline",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Strokes: a diffusion-weighted image in which a network trained on RUN marks lesions.",
)
def evaluate(
    run: Path,
    real: Path | None,
    held_out: Path,
    steps: int,
    repeats: int,
    seed: int,
    beside: tuple[Path, ...],
    combined: bool,
    tissue: str,
    quick: bool,
    features: Path | None,
    out: Path | None,
    outline: tuple[Path, ...],
) -> None:
    """Say what the synthetic data of RUN are worth: a finished run, a data set, or a folder of samples.

    Vessels: the same small segmentation network is trained on pairs (image, label) of real patients, of the
    free public simulator and of RUN, as many of each; Dice, 95HD and bAHD are measured on held-out patients.
    Dice is of all sessions of a patient pooled, mean ± SD over patients; its interval is a paired bootstrap
    over patients and trainings. Where one mask is empty and the other is not, 95HD and bAHD are the diagonal
    of the scan. About half a minute a training on two cores.

    Image quality, in features of a named network: FID, PRD, α-precision, β-recall, authenticity, SSIM between
    samples, and whether images lie nearer to training patients than to others; a figure is drawn. The default
    network is trained on public phantoms the first time, in under a minute, and kept in ~/.cache/willis.

    Strokes: a 3D network that outlines lesions is trained likewise; Dice of held-out patients with a lesion,
    lesions found, and patients without one in whom it sees one. About a minute a training on two cores, of
    images of 64 x 64 x 16. With --outline it also marks lesions in images of any size, for a look at real ones.

    Lesions: masks alone have no image to learn from, so volumes and numbers of components are compared with those
    of held-out patients (Kolmogorov-Smirnov distance, 0 to 1), and drawn.

    Simulation only: figures on patients, trained on or held out, are computed without a mechanism and may not
    leave a hospital.

    \b
    Held-out patients of the same phantom hospitals, then the evaluation:
      willis phantoms tof held-out --sites 4 --patients 4 --seed 1 --first 101
      willis evaluate run --held-out held-out
    """
    from shared.evaluation.published import find_published
    from shared.evaluation.utility import Tissue
    from simulations.evaluation.asked import Asked
    from simulations.evaluation.cohorts import training_cohorts

    published = find_published(run)
    if outline and "dwi" not in published.roles():
        raise click.UsageError("--outline needs a data set of strokes: diffusion-weighted images with lesions")
    others = tuple(find_published(path) for path in beside)
    cohorts, where = real or training_cohorts(run), Tissue(tissue)
    asked = Asked(cohorts, held_out, steps, repeats, seed, combined, others, where, quick, features)
    target = out or published.folder.with_name(f"{published.folder.name}-evaluation.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    if "dwi" in published.roles():
        return _strokes(published, asked, target, outline)
    has_images = any(published.roles() - {"label-lesion_mask"})
    (_vessels if has_images else _lesions)(published, asked, target)


def _vessels(published: "Published", asked: "Asked", target: Path) -> None:
    from shared.bars import bars
    from shared.evaluation.quality.figure import quality_figure
    from simulations.evaluation import quality
    from simulations.evaluation.vessels import WHERE, as_json, evaluate_vessels, find_everyone, table, verdict

    with bars() as report:
        everyone = find_everyone(asked, report)
        assessment = None if asked.quick else quality.evaluate_quality(published, *everyone, asked, report)
        rows = evaluate_vessels(published, *everyone, asked, report)
    found, more = [(table(rows, asked.tissue), verdict(rows))], {}
    if assessment is not None:
        found.append((quality.table(assessment), quality.verdict(assessment)))
        more["image_quality"] = quality.as_json(assessment)
    _show(published, *found)
    _write(target, f"vessels: Dice, 95HD, bAHD {WHERE[asked.tissue]}", published, asked, as_json(rows), **more)
    if assessment is not None:
        note = f"{published.folder.name}. {SIMULATION_ONLY}"
        _draw(target, quality_figure(assessment.populations, assessment.features, note))


def _strokes(published: "Published", asked: "Asked", target: Path, images: Sequence[Path]) -> None:
    from shared.bars import bars
    from simulations.evaluation.outlines import DISCLAIMER, outline_images, read_images
    from simulations.evaluation.strokes import as_json, evaluate_strokes, table, verdict

    scans = read_images(images)  # before an hour is spent
    with bars() as report:
        rows = evaluate_strokes(published, asked, report)
    _show(published, (table(rows, asked.seed), verdict(rows, asked.seed)))
    _write(target, "strokes: Dice and detection of lesions", published, asked, as_json(rows, asked.seed))
    if scans:
        note = f"Trained on {published.folder.name}. {DISCLAIMER}"
        for path in outline_images(rows, scans, published.strokes()[0].spacing, target, note):
            click.echo(f"wrote     {path}")


def _lesions(published: "Published", asked: "Asked", target: Path) -> None:
    from shared.bars import bars
    from shared.evaluation.lesion_distributions import distribution_figure
    from simulations.evaluation.lesions import as_json, evaluate_lesions, table, verdict

    with bars() as report:
        populations = evaluate_lesions(published, asked, report)
    _show(published, (table(populations), verdict(populations)))
    _write(target, "lesions: volumes and components", published, asked, as_json(populations))
    _draw(target, distribution_figure(populations, f"{published.folder.name}. {SIMULATION_ONLY}"))


def _show(published: "Published", *found: tuple[object, str]) -> None:
    """Print tables, each with its verdict, then the claim and the warning."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.width = max(console.width, WIDEST)  # a long line is easier to read than a table with holes
    for table, verdict in found:
        console.print(table)
        console.print(verdict)
    console.print(f"synthetic: {published.claim}", markup=False)
    console.print(SIMULATION_ONLY)


def _draw(target: Path, figure: bytes) -> None:
    path = target.with_suffix(".png")
    path.write_bytes(figure)
    click.echo(f"wrote     {path}")


def _write(
    target: Path, what: str, published: "Published", asked: "Asked", rows: "list[Json]", **more: "Json"
) -> None:
    import json

    content = {
        "what": what,
        "note": SIMULATION_ONLY,
        "data_set": published.folder.name,
        "private": published.is_private,
        "claim": published.claim,
        "steps": asked.steps,
        "repeats": asked.repeats,
        "seed": asked.seed,
        "rows": rows,
        **more,
    }
    target.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    click.echo(f"wrote     {target}")
