"""`willis perfusion`: a hospital's own patient, from series to maps, on the hospital's own machine."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.imaging.perfusion.calibration import Calibration
    from shared.imaging.perfusion.files import Made, Progress, Request
    from shared.imaging.perfusion.motion import Motion

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


class _Asked(TypedDict):
    """What the command line gives beside the folder and the network."""

    series: Path
    tr: float | None
    te: float | None
    mask: Path | None
    core: Path | None
    align: bool
    aif: tuple[tuple[int, int, int], ...]
    skip: int | None
    method: str
    limit: float | None
    operator: str
    smooth: float
    kappa: float | None
    white_matter: Path | None
    vein: bool
    colours: str


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("series", type=_FILE)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--tr", type=float, help="Seconds between frames.  [default: of the sidecar, else the header]")
@click.option("--te", type=float, help="Echo time in seconds, 0.03 say.  [default: of the sidecar]")
@click.option("--mask", type=_FILE, help="Brain mask (NIfTI).  [default: found in the mean image]")
@click.option("--core", type=_FILE, help="Infarct core (NIfTI mask), from diffusion; gives the mismatch.")
@click.option(
    "--align/--no-align", default=False, show_default=True, help="Take the head's movement away first (rigid)."
)
@click.option(
    "--aif", type=int, nargs=3, multiple=True, metavar="I J K", help="Arterial voxel, from 0. Repeatable."
)
@click.option(
    "--skip", type=click.IntRange(0), help="Frames to leave out at the start.  [default: found, 1 or more]"
)
@click.option("--method", type=click.Choice(["osvd", "csvd", "ssvd"]), default="osvd", show_default=True)
@click.option(
    "--limit",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Oscillation index (osvd), or singular values cut, of the largest.  [default: 0.035, 0.1, 0.2]",
)
@click.option("--operator", type=click.Choice(["linear", "rectangular"]), default="linear", show_default=True)
@click.option(
    "--smooth", type=click.FloatRange(0, 5), default=1.0, show_default=True, help="Sigma in a slice, pixels."
)
@click.option(
    "--kappa",
    type=click.FloatRange(0, min_open=True),
    help="Calibrate: relaxivity in the artery's voxels over that in tissue.",
)
@click.option("--white-matter", type=_FILE, help="Calibrate: mask of healthy white matter; its CBF becomes 22.")
@click.option("--vein", is_flag=True, help="Calibrate: a large vein has the area the artery should have.")
@click.option(
    "--network", type=_FILE, help="Let this network draw the maps: a file of `willis network`. No artery is used."
)
@click.option("--colours", type=click.Choice(["rainbow", "uniform"]), default="rainbow", show_default=True)
def perfusion(out: Path, network: Path | None, **asked: Unpack[_Asked]) -> None:
    """Make perfusion maps of the DSC-MRI series SERIES in the new folder OUT.

    Research use only; not for diagnosis.

    SERIES is a NIfTI file of raw signal with the axes (i, j, k, t), or (i, j, k, 1, t) as in ISLES 2017. Its
    times are read from the JSON file of the same name (RepetitionTime, EchoTime, in seconds).

    \b
    OUT gets
      cbf.nii.gz      flow, ml/100 g/min     relative, unless one of --kappa,
      cbv.nii.gz      volume, ml/100 g       --white-matter and --vein calibrates it
      mtt.nii.gz      mean transit time CBV / CBF, s
      tmax.nii.gz     delay of the residue function's maximum, s
      ttp.nii.gz      time to peak, s from the bolus's onset at the artery
      brain.nii.gz    where they were computed
      perfusion.json  every constant and choice, the arterial voxels and curve, volumes of late tissue
      report.png      to look at first: was the artery one, is the baseline free of bolus?

    \b
    Examples:
      willis perfusion sub-1_dsc.nii.gz maps
      willis perfusion pwi.nii maps --tr 1.5 --te 0.03 --core core.nii.gz
      willis perfusion restless.nii.gz maps --align
      willis perfusion pwi.nii drawn --network maps.safetensors
      willis perfusion pwi.nii again --aif 61 80 9 --aif 62 80 9 --method csvd
    """
    if network is None:
        _by_artery(_request(asked), out)
        return
    if asked["aif"] or asked["kappa"] or asked["white_matter"] or asked["vein"]:
        raise click.UsageError(
            "--network looks for no artery: leave --aif, --kappa, --white-matter and --vein out"
        )
    _by_network(_request(asked), network, out)


def _request(asked: _Asked) -> "Request":
    from shared.imaging.perfusion.deconvolution import Deconvolution, Method, Operator
    from shared.imaging.perfusion.files import Request
    from shared.imaging.perfusion.pipeline import Choices

    choices = Choices(
        deconvolution=Deconvolution(Method(asked["method"]), Operator(asked["operator"]), asked["limit"]),
        smoothing_px=asked["smooth"],
        skip=asked["skip"],
        calibration=_calibration(asked["kappa"], asked["white_matter"], asked["vein"]),
        kappa=asked["kappa"] or 1.0,
    )
    return Request(
        asked["series"],
        repetition_s=asked["tr"],
        echo_s=asked["te"],
        brain=asked["mask"],
        core=asked["core"],
        white_matter=asked["white_matter"],
        artery=asked["aif"],
        align=asked["align"],
        choices=choices,
        palette=asked["colours"],
    )


def _by_artery(request: "Request", out: Path) -> None:
    from shared.imaging.perfusion.files import PICTURE, make_maps

    with _bar() as progress:
        made = make_maps(request, out, progress)
    _tell(made)
    click.echo(f"next      look at {out / PICTURE}: is the input an artery, and the baseline free of bolus?")


def _by_network(request: "Request", network: Path, out: Path) -> None:
    from client.network_maps import draw_by_network
    from shared.imaging.perfusion.files import PICTURE
    from shared.imaging.perfusion.sidecar import DISCLAIMER

    with _bar() as progress:
        drawn = draw_by_network(request, network, out, progress)
    about, found = drawn.about, drawn.read_out
    _tell_of_reading(drawn.read.notes, drawn.read.motion)
    click.echo(f"network   {about.recipe} {about.variant}, run {about.run[:12]}")
    click.echo(f"it says   {about.claim} (of itself: compare the file's SHA-256 with the coordinator's ledger)")
    if found is not None:
        click.echo(f"Tmax      {', '.join(f'> {seconds} s {ml:.0f} ml' for seconds, ml in found.late_ml.items())}")
    click.echo(DISCLAIMER)
    click.echo(f"next      look at {out / PICTURE}")


def _calibration(kappa: float | None, white_matter: Path | None, vein: bool) -> "Calibration":
    from shared.errors import UsageError
    from shared.imaging.perfusion.calibration import Calibration

    asked = {
        Calibration.KAPPA: kappa is not None,
        Calibration.WHITE_MATTER: white_matter is not None,
        Calibration.VEIN: vein,
    }
    kinds = [kind for kind, wanted in asked.items() if wanted]
    if len(kinds) > 1:
        raise UsageError("calibrate in one way only: --kappa, --white-matter or --vein")
    return kinds[0] if kinds else Calibration.NONE


@contextmanager
def _bar() -> "Iterator[Progress]":
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as display:
        task = display.add_task("Reading", total=None)
        yield lambda what, done, total: display.update(task, description=what, completed=done, total=total)


def _tell_of_reading(notes: list[str], motion: "Motion | None") -> None:
    for note in notes:
        click.echo(f"note: {note}", err=True)
    if motion is not None:
        click.echo(
            f"movement  at most {motion.largest_mm:.1f} mm and {motion.largest_degrees:.1f} degrees, taken away"
        )


def _tell(made: "Made") -> None:
    from shared.imaging.perfusion.sidecar import DISCLAIMER

    study = made.study
    _tell_of_reading(made.notes, made.motion)
    frames, fall = study.baseline, 100 * study.baseline.fall
    click.echo(f"baseline  frames {frames.first} to {frames.end - 1}; the bolus takes {fall:.0f} % of the signal")
    click.echo(f"artery    {len(study.voxels)} voxels: {', '.join(str(voxel) for voxel in study.voxels)}")
    late = ", ".join(f"> {seconds} s {ml:.0f} ml" for seconds, ml in made.read_out.late_ml.items())
    click.echo(f"Tmax      {late}")
    if made.read_out.core_ml is not None:
        ratio = made.read_out.ratio
        click.echo(
            f"mismatch  core {made.read_out.core_ml:.0f} ml (given), mismatch {made.read_out.volume_ml:.0f} ml, "
            f"ratio {'none' if ratio is None else f'{ratio:.1f}'}"
        )
    click.echo(DISCLAIMER)
