"""`willis evaluate`: what a published data set is worth, beside real patients and the free simulator."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from shared.canonical import Json
    from shared.evaluation.published import Published
    from simulations.evaluation.asked import Asked

SIMULATION_ONLY = (
    "Simulation only: figures on held-out patients are computed without a mechanism. "
    "They cost privacy that no ledger counts, and may not leave a hospital."
)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("run", type=_FOLDER)
@click.option("--real", type=_FOLDER, help="Hospitals the run was trained on.  [default: those RUN names]")
@click.option("--held-out", type=_FOLDER, required=True, help="Hospitals with other patients, to test on.")
@click.option("--steps", type=click.IntRange(1), default=300, help="Updates of each training, 32 pairs each.")
@click.option("--repeats", type=click.IntRange(1), default=3, help="Trainings of each kind; 1 gives no verdict.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Same seed, same figures on one machine.")
@click.option("--beside", type=_FOLDER, multiple=True, help="Another data set or samples, in a row of its own.")
@click.option("--combined", is_flag=True, help="Also train on synthetic and public pairs together.")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="JSON.  [default: beside the data set]"
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
    out: Path | None,
) -> None:
    """Say what the synthetic data of RUN are worth: a finished run, a data set, or a folder of samples.

    Vessels: the same small segmentation network is trained on pairs (image, label) of real patients, of the
    free public simulator and of RUN, as many of each; Dice inside the brain is measured on held-out patients,
    all sessions of a patient pooled, and reported as mean ± SD over patients. The interval is a paired
    bootstrap over patients and trainings. About half a minute a training on two cores.

    Lesions: masks have no image to learn from, so volumes and numbers of components are compared with those
    of held-out patients (Kolmogorov-Smirnov distance, 0 to 1), and drawn.

    Simulation only: figures on held-out patients are computed without a mechanism and may not leave a hospital.

    \b
    Held-out patients of the same phantom hospitals, then the evaluation:
      willis phantoms tof held-out --sites 4 --patients 4 --seed 1 --first 101
      willis evaluate run --held-out held-out
    """
    from shared.evaluation.published import find_published
    from simulations.evaluation.asked import Asked
    from simulations.evaluation.cohorts import training_cohorts

    published = find_published(run)
    others = tuple(find_published(path) for path in beside)
    asked = Asked(real or training_cohorts(run), held_out, steps, repeats, seed, combined, others)
    target = out or published.folder.with_name(f"{published.folder.name}-evaluation.json")
    target.parent.mkdir(parents=True, exist_ok=True)
    has_images = any(published.roles() - {"label-lesion_mask"})
    (_vessels if has_images else _lesions)(published, asked, target)


def _vessels(published: "Published", asked: "Asked", target: Path) -> None:
    from simulations.bars import bars
    from simulations.evaluation.vessels import as_json, evaluate_vessels, table, verdict

    with bars() as report:
        rows = evaluate_vessels(published, asked, report)
    _show(table(rows), published, verdict(rows))
    _write(target, "vessels: Dice inside the brain", published, asked, as_json(rows))


def _lesions(published: "Published", asked: "Asked", target: Path) -> None:
    from shared.evaluation.lesion_distributions import distribution_figure
    from simulations.bars import bars
    from simulations.evaluation.lesions import as_json, evaluate_lesions, table, verdict

    with bars() as report:
        populations = evaluate_lesions(published, asked, report)
    _show(table(populations), published, verdict(populations))
    _write(target, "lesions: volumes and components", published, asked, as_json(populations))
    figure = target.with_suffix(".png")
    figure.write_bytes(distribution_figure(populations))
    click.echo(f"wrote     {figure}")


def _show(table: object, published: "Published", verdict: str) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    console.print(f"synthetic: {published.claim}", markup=False)
    console.print(verdict)
    console.print(SIMULATION_ONLY)


def _write(target: Path, what: str, published: "Published", asked: "Asked", rows: "list[Json]") -> None:
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
    }
    target.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    click.echo(f"wrote     {target}")
