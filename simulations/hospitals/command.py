"""`willis phantoms`: hospitals to try everything on, where no real patients can be had."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from simulations.hospitals.cohort import Plan

NEXT = {  # the recipe a cohort of this kind is for
    "tof": "vessels-2d",
    "lesions": "lesions-3d",
    "dwi": "lesions-3d",
}
SHAPES = {"tof": (128, 128, 64), "lesions": (91, 109, 91), "dwi": (128, 128, 32), "dsc": (128, 128, 21)}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("kind", type=click.Choice(list(SHAPES)))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--sites", type=click.IntRange(1, 26), default=4, help="Number of hospitals, named a, b, c...")
@click.option("--patients", type=click.IntRange(1, 900), default=12, help="Patients at each hospital.")
@click.option("--seed", type=click.IntRange(0), required=True, help="Same seed, same patients, same bytes.")
@click.option(
    "--first", type=click.IntRange(1, 99_000), default=1, help="Number of each hospital's first patient."
)
@click.option(
    "--shape",
    type=click.IntRange(8, 512),
    nargs=3,
    default=None,
    metavar="I J K",
    help="Voxels of an image. Fewer give coarser voxels; an angiogram's end at 1.5 mm, then its field of view "
    "shrinks.  [default: 128 128 64 for tof, 128 128 32 for dwi, 128 128 21 for dsc]",
)
@click.option("--frames", type=click.IntRange(20, 200), default=80, help="Frames of a perfusion series (dsc).")
@click.option("--jobs", type=click.IntRange(1), default=None, help="Processes.  [default: one per CPU core]")
def phantoms(
    kind: str,
    out: Path,
    sites: int,
    patients: int,
    seed: int,
    first: int,
    shape: tuple[int, int, int] | None,
    frames: int,
    jobs: int | None,
) -> None:
    """Write phantom hospitals' cohorts below OUT: OUT/site-a, OUT/site-b, ...

    \b
    KIND is one of
      tof      head angiograms (time of flight) with artery and brain labels
      lesions  stroke lesion masks
      dwi      diffusion-weighted images with lesion and anatomy labels; one in six shows no infarct
      dsc      perfusion series of a contrast bolus with true maps of flow, volume and times; some patients move
    Each folder is what a hospital would have: dataset_description.json, participants.tsv and, for each
    patient, NIfTI files such as sub-a001/anat/sub-a001_angio.nii.gz beside
    sub-a001_label-vessels_mask.nii.gz. About one patient in eight has two sessions (lesions: one). Hospitals
    differ in scanner, protocol and case mix; hospital a is the same hospital whatever the seed.

    \b
    Cohorts to train on, then other patients of the same hospitals to test on:
      willis phantoms tof cohorts --sites 4 --patients 12 --seed 1
      willis phantoms tof held-out --sites 4 --patients 4 --seed 1 --first 101
    """
    import os

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: each process works on one core
    from simulations.hospitals.cohort import Plan

    plan = Plan(kind, sites, patients, seed, shape or SHAPES[kind], first, frames=frames)
    folders = _write(plan, out, jobs or os.cpu_count() or 1)
    click.echo(f"{_count(sites, 'hospital')}, {_count(patients, 'patient')} each: {folders[0]} to {folders[-1]}")
    click.echo(f"Next: willis {_next(kind, folders[0], out, seed)}")


def _next(kind: str, hospital: Path, out: Path, seed: int) -> str:
    """Return the command that makes something of the cohorts below `out`."""
    if kind in NEXT:
        return f"simulate RUN --recipe {NEXT[kind]} --cohorts {out} --epsilon 8 --delta 1e-5 --seed {seed}"
    return f"perfusion {min(hospital.rglob('*_dsc.nii.gz'))} MAPS"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _write(plan: "Plan", out: Path, jobs: int) -> list[Path]:
    from rich.console import Console
    from rich.progress import Progress

    from simulations.hospitals.cohort import write_cohorts

    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("Scanning patients", total=plan.sites * plan.patients)
        return write_cohorts(plan, out, jobs, lambda: progress.advance(bar))
