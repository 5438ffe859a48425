"""`willis study`: published claims recomputed, experiments run again. Nothing heavy is imported before."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from simulations.studies.bench import Findings
    from simulations.studies.cells import Done
    from simulations.studies.rows import Row, Scale

PATCHES_PER_PATIENT = (1, 10, 100, 1000)
_EPILOG = """
OUT keeps everything: cohorts/, held-out/, second-site/ (phantom patients), runs/ (each run a federation of
its own, as `willis simulate` leaves it), samples/ (contact sheets), cells/ (one result a file, with its
log). Interrupt a study when you like and give the same command again: what is done is not done again, and
what has other settings is done anew.
"""


class _Experiment(Protocol):
    """A module that runs one."""

    __name__: str

    @property
    def SIZES(self) -> "Mapping[str, Scale]": ...
    @property
    def run(self) -> "Callable[..., tuple[Findings, list[Done]]]": ...  # of a bench, its kind of scale, and rows
    def rows(self, preset: str) -> "Sequence[Row]": ...


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def study() -> None:
    """Recompute what others published, and run their experiments again."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Add what all experiments take."""
    for option in reversed(
        (
            click.argument("out", type=click.Path(path_type=Path, file_okay=False)),
            click.option(
                "--preset",
                type=click.Choice(["small", "paper"]),
                default="small",
                show_default=True,
                help="small: two cores, up to an hour; paper: the paper's sizes, days on a GPU.",
            ),
            click.option("--seeds", type=click.IntRange(1), help="Repetitions.  [default: the preset's]"),
            click.option("--sites", type=click.IntRange(1, 4), help="Hospitals.  [default: the preset's]"),
            click.option(
                "--patients", type=click.IntRange(3), help="Training patients at each.  [default: the preset's]"
            ),
            click.option("--jobs", type=click.IntRange(1), help="Processes.  [default: one a CPU core]"),
        )
    ):
        command = option(command)
    return command


@study.command("vessels-utility", short_help="What private vessel images are worth for training.", epilog=_EPILOG)
@_options
def vessels_utility(out: Path, preset: str, **chosen: int | None) -> None:
    """Say what private vessel images are worth: the table of the README, with its intervals.

    One segmentation network, trained on as many pairs of each kind: real patients, the free public simulator, both
    private recipes at ε 8, ε 3 and without noise, a GAN that is not private, and the DP-WGAN of Kossen et al. 2022
    with its own unit, the patch. Every seed draws its own patients, noise and trainings; rows are compared seed by
    seed and patient by patient, on phantoms.

    \b
    Writes OUT/vessels-utility.csv, .md, .png and OUT/vessels-utility-samples.png. Example:
      willis study vessels-utility utility --preset small
    """
    from simulations.studies import vessels_utility as study_of

    _run(study_of, out, preset, chosen)


@study.command("vessels-levers", short_help="What each lever of private training brings.", epilog=_EPILOG)
@_options
def vessels_levers(out: Path, preset: str, **chosen: int | None) -> None:
    """Move each lever of the private vessel recipes alone, at ε 8, and the number of patients: an ablation.

    Releases, drawn patients, critic steps, records, a larger critic, whole networks instead of a head; 40 to 1,000
    patients. Judged as in vessels-utility, on phantoms.

    \b
    Writes OUT/vessels-levers.csv, .md and .png. Example:
      willis study vessels-levers levers --preset small
    """
    from simulations.studies import vessels_levers as study_of

    _run(study_of, out, preset, chosen)


@study.command("kossen-ch4", short_help="2D GANs of Kossen et al. 2021, and sharing simulated.", epilog=_EPILOG)
@_options
def kossen_ch4(out: Path, preset: str, **chosen: int | None) -> None:
    """Run chapter 4 of Kossen's thesis again: vessel patches by DCGAN, WGAN-GP and WGAN-GP-SN (2021), on phantoms.

    FID, Dice and 95HD on test patients of the first hospitals and of a second site; then a U-Net that was
    pre-trained on synthetic pairs and fine-tuned on 1, 3, ..., 15 patients of the second site, beside one from
    scratch. The paper's figures stand beside ours. Its GANs are not private; the private default and the free
    public simulator are in every table.

    \b
    Writes OUT/kossen-ch4.csv, .md, kossen-ch4-transfer.csv, .md, .png and kossen-ch4-samples.png. Example:
      willis study kossen-ch4 chapter-4 --preset small
    """
    from simulations.studies import kossen_ch4 as study_of

    _run(study_of, out, preset, chosen)


@study.command("kossen-ch5", short_help="3D GANs of Subramaniam et al. 2022.", epilog=_EPILOG)
@_options
def kossen_ch5(out: Path, preset: str, **chosen: int | None) -> None:
    """Run chapter 5 of Kossen's thesis again: vessel volumes by gp, sn, sn-mp and c-sn-mp (2022), on phantoms.

    FID and PRD, Dice and bAHD of all and of intracranial vessels on two sites, and what a step takes in time and
    memory. The paper's figures stand beside ours, and the private variant and the free public simulator too.

    \b
    Writes OUT/kossen-ch5-quality, -cost, -all, -intracranial, -private (.csv, .md) and -samples.png. Example:
      willis study kossen-ch5 chapter-5 --preset small
    """
    from simulations.studies import kossen_ch5 as study_of

    _run(study_of, out, preset, chosen)


@study.command("kossen-ch6", short_help="The DP-WGAN of Kossen et al. 2022 over noise.", epilog=_EPILOG)
@_options
def kossen_ch6(out: Path, preset: str, **chosen: int | None) -> None:
    """Run chapter 6 of Kossen's thesis again: a DP-WGAN on vessel patches over noise multipliers, on phantoms.

    Dice, FID to training and to test patients, and SSIM between samples, against ε. As in the paper the unit is
    the patch, which protects no patient; rows with the patient as the unit stand beside. The ε the paper printed
    stands beside what its released loop cost and what our run costs.

    \b
    Writes OUT/kossen-ch6.csv, .md, .png and OUT/kossen-ch6-samples.png. Example:
      willis study kossen-ch6 chapter-6 --preset small
    """
    from simulations.studies import kossen_ch6 as study_of

    _run(study_of, out, preset, chosen)


@study.command("platscher", short_help="Drawn stroke patients of Platscher et al. 2020.", epilog=_EPILOG)
@_options
def platscher(out: Path, preset: str, **chosen: int | None) -> None:
    """Run Platscher et al. 2020 again: stroke lesions put into heads and drawn by a translator, on phantoms.

    pix2pix (λ 10 and 100), SPADE, CycleGAN, and a private pix2pix with a private lesion generator. A 3D U-Net is
    trained on patients, on drawn cases, on both, and tuned on 10 and 50 patients: DSC, lesions found, and alarms
    in patients without a lesion. How bright drawn lesions are beside patients'. The paper's figures stand beside
    ours, and the free public simulator too.

    \b
    Writes OUT/platscher, -bars, -contrast, -cost (.csv, .md) and platscher.png, -samples.png, -intensities.png.
    Example:
      willis study platscher strokes --preset small
    """
    from simulations.studies import platscher as study_of

    _run(study_of, out, preset, chosen)


@study.command("kossen-ch7", short_help="Perfusion maps of Kossen et al. 2023.", epilog=_EPILOG)
@_options
def kossen_ch7(out: Path, preset: str, **chosen: int | None) -> None:
    """Run chapter 7 of Kossen's thesis again: perfusion maps by pix2pix and temp-pix2pix (2023), on phantoms.

    Networks learn from a teacher's maps, as the paper's did, and from the phantoms' truth; at four hospitals
    together, then fine-tuned at two others; one of them is private. Compared with the teacher as the paper
    measures, and with the truth inside the brain, beside deconvolution and a constant.

    \b
    Writes OUT/kossen-ch7, -truth, -second, -late, -apart (.csv, .md), kossen-ch7.png, and the maps of the best
    patient, the worst, and one who moved (-best.png, -worst.png, -motion.png).
    Example:
      willis study kossen-ch7 chapter-7 --preset small
    """
    from simulations.studies import kossen_ch7 as study_of

    _run(study_of, out, preset, chosen)


def _run(study_of: _Experiment, out: Path, preset: str, chosen: dict[str, int | None]) -> None:
    """Run one study: a module with `SIZES`, `rows` and `run`."""
    from shared.bars import bars
    from simulations.studies.bench import Bench, check_folder, keep
    from simulations.studies.cells import preload

    preload(study_of.__name__)
    check_folder(out)
    sizes = _sizes(study_of.SIZES[preset], chosen)
    with bars() as report:
        findings, done = study_of.run(
            Bench(out, chosen["jobs"] or os.cpu_count() or 1, report), sizes, study_of.rows(preset)
        )
    keep(findings, out, done)


def _sizes(sizes: "Scale", chosen: dict[str, int | None]) -> "Scale":
    """Return the preset's sizes with what was chosen in their place."""
    people = sizes.hospitals
    people = replace(people, sites=chosen["sites"] or people.sites, patients=chosen["patients"] or people.patients)
    return replace(sizes, seeds=chosen["seeds"] or sizes.seeds, hospitals=people)


@study.command("kossen-accounting", short_help="The privacy of Kossen et al. 2022, recomputed.")
@click.option("--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Also write the figures.")
def kossen_accounting(csv_file: Path | None) -> None:
    """Print what the private runs of Kossen et al. 2022 cost, as accounted and as run. Takes minutes."""
    from rich.console import Console

    from shared.bars import bars
    from shared.privacy.accounting import PrivacyCost
    from simulations.studies import kossen_accounting as kossen
    from simulations.studies.kossen_tables import REASONS, groups_table, runs_table, write_csv
    from simulations.studies.patient_groups import group_cost

    rows: list[tuple[kossen.Run, list[kossen.Figure]]] = []
    groups: list[tuple[int, PrivacyCost, PrivacyCost]] = []
    run = kossen.RUNS[-1]
    with bars() as report:
        for number, each in enumerate(kossen.RUNS):
            found: list[kossen.Figure] = []
            for figure in kossen.figures(each):
                found.append(figure)
                report("runs", number * kossen.READINGS + len(found), len(kossen.RUNS) * kossen.READINGS)
            rows.append((each, found))
        for number, patches in enumerate(PATCHES_PER_PATIENT):
            fresh, reused = (
                group_cost(patches, steps(run), kossen.DELTA) for steps in (kossen.fresh, kossen.released)
            )
            groups.append((patches, fresh, reused))
            report("patients", number + 1, len(PATCHES_PER_PATIENT))
    console = Console()
    for table in (runs_table(rows), groups_table(groups)):
        console.print(table)
    for reason in REASONS:
        console.print(f"- {reason}", highlight=False)
    if csv_file:
        write_csv(csv_file, rows, run, groups)
