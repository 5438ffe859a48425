"""`willis simulate`: a federation of hospitals on one machine, from cohorts to a published data set."""

from pathlib import Path
from typing import Literal

import click

from server.run.options import run_options

_EPILOG = """\b
Sites are the folders of DIR that hold a cohort: DIR/<site>/sub-<patient>/anat/... or DIR/<site>/cohort.csv.
What a site allows is in DIR/<site>/policy.toml (made on first use); what it spent is in DIR/<site>/.willis.
The coordinator's key and the ledger of all runs are in DIR/.federation.

\b
Examples:
  willis simulate run --recipe vessels-2d --cohorts cohorts --epsilon 8 --delta 1e-5 --seed 1
  willis simulate run --recipe lesions-3d --cohorts cohorts --epsilon 8 --rounds 40 --seed 1
  willis simulate run --recipe vessels-2d --variant wgan --set steps=20 --cohorts cohorts --epsilon 8
  willis simulate run --recipe stroke-dwi --set translator.reconstruction=100 --cohorts cohorts --epsilon 8
  willis simulate run --resume

\b
stroke-dwi is two runs under one budget: lesions-3d in OUT/lesions, then translate-2d (of which --variant is)
in OUT/translator. Its settings are lesions.NAME and translator.NAME; --rounds and --pretrain are for both.
"""


@click.command(epilog=_EPILOG)
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@run_options
@click.option(
    "--cohorts",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of the hospitals' folders.",
)
@click.option("--delta", type=float, help="δ of the federation, fixed by its first run; 1e-5 when not given.")
@click.option(
    "--overlap",
    type=click.IntRange(min=1),
    help="At how many sites one patient may be; fixed by the federation's first run, 1 when not given.",
)
@click.option(
    "--federation",
    type=click.Path(path_type=Path, file_okay=False),
    help="The coordinator's home: its key and the ledger of all runs.  [default: DIR/.federation]",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="Repeat everything, noise included; the run is then a simulation. Without it, noise comes from the "
    "operating system and cannot be repeated.",
)
@click.option("--engine", type=click.Choice(["embedded", "ray"]), default="embedded", show_default=True)
@click.option(
    "--start-from",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="RUN",
    help="Fine-tune: begin with the networks of this finished run of the same recipe. Nothing can be published "
    "from it, for its claim is of these hospitals' patients alone.",
)
@click.option("--resume", is_flag=True, help="Continue the run in OUT; all other settings come from it.")
def simulate(
    out: Path,
    recipe: str,
    variant: str | None,
    cohorts: Path | None,
    preset: str,
    settings: tuple[str, ...],
    epsilon: float | None,
    delta: float | None,
    overlap: int | None,
    federation: Path | None,
    rounds: int | None,
    seed: int | None,
    engine: Literal["embedded", "ray"],
    pretrain: str | None,
    start_from: Path | None,
    count: int,
    resume: bool,
    unsafe_non_private: bool,
) -> None:
    """Train a federation of hospitals on one machine and publish a private, labelled data set in OUT.

    Leaves OUT/ledger, OUT/checkpoints, OUT/dataset and OUT/report/{report.json,index.html}.
    """
    from server.run.asked import Asked
    from shared.recipes.settings import parse
    from simulations.chain import CHAIN, is_begun, resume_chain, start_chain
    from simulations.federation import resume_run, start_run
    from simulations.start import weights_of

    if resume:
        (resume_chain if is_begun(out) else resume_run)(out, engine)
        return
    if cohorts is None:
        raise click.UsageError("Missing option '--cohorts': the folder of the hospitals' folders.")
    asked = Asked(
        recipe,
        variant,
        preset,
        parse(settings),
        epsilon,
        delta,
        rounds,
        seed,
        pretrain,
        count,
        unsafe_non_private,
        overlap,
        federation,
    )
    if recipe == CHAIN:
        if start_from is not None:
            raise click.UsageError(f"--start-from: {CHAIN} is two runs; fine-tune either by its own recipe")
        return start_chain(out, cohorts, asked, engine)
    start_run(out, cohorts, asked, engine, weights_of(start_from, asked) if start_from else b"")
