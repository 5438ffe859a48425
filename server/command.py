"""`willis sample`, `translate`, `network` and `incident`: what a coordinator does with a finished run."""

from pathlib import Path

import click

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--count", default=100, show_default=True, type=click.IntRange(min=1), help="Cases to draw.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Other seeds, other cases.")
@click.option("--source", help="What draws them, where a recipe has several (calibrated: simulator, generator).")
@click.option("--unsafe-non-private", is_flag=True, help="Say that these may show a real patient's image.")
def sample(run: Path, out: Path, count: int, seed: int, source: str | None, unsafe_non_private: bool) -> None:
    """Draw COUNT cases, to look at only, from the finished run RUN that protects no patient, into OUT.

    They may not leave, and every name and header says so. `willis dataset publish` draws from a private run.
    """
    from server.run.sampling import draw_to_look_at

    draw_to_look_at(run, out, count=count, seed=seed, source=source or "", unsafe=unsafe_non_private)
    click.echo(f"wrote     {count} cases to {out}")
    click.echo(f"next      look at {out / 'contact-sheet.png'}; willis evaluate {out} --help")


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--anatomy", required=True, type=_FILE, help="Anatomical map: a label image (NIfTI).")
@click.option("--table", type=_FILE, help="CSV `from,to`: the map's labels as FreeSurfer numbers.")
@click.option(
    "--lesion", "lesions", required=True, multiple=True, type=_FILE, help="Lesion mask (NIfTI). Repeatable."
)
@click.option("--in-place", is_flag=True, help="Leave lesions where they lie in the map's space.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Other seeds, other places."
)
@click.option("--unsafe-non-private", is_flag=True, help="Draw with a run without noise, to look at only.")
def translate(
    run: Path,
    out: Path,
    anatomy: Path,
    table: Path | None,
    lesions: tuple[Path, ...],
    in_place: bool,
    seed: int,
    unsafe_non_private: bool,
) -> None:
    """Draw a diffusion-weighted image of your own map and of each lesion with the translator RUN, into OUT.

    Each lesion is turned, scaled and put at a random place of the map's brain, unless it is to stay in place.
    A map or mask of a patient stays that patient's data, and so does the image: the run's claim does not cover
    what you put in.

    \b
    Example:
      willis translate run drawn --anatomy atlas.nii.gz --table atlas.csv --lesion a.nii.gz --lesion b.nii.gz
    """
    from server.run.translating import Inputs, translate_files

    inputs = Inputs(anatomy, table, lesions, in_place)
    translate_files(run, out, inputs, seed=seed, unsafe=unsafe_non_private)
    click.echo(f"wrote     {len(lesions)} cases to {out}")
    click.echo(f"next      look at {out / 'contact-sheet.png'}; {out / 'README.md'} says what they are")


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--unsafe-non-private", is_flag=True, help="Of a run without noise: for its own hospitals alone.")
@click.option(
    "--publish-anyway", is_flag=True, help="Publish although public phantoms alone, free, are worth more."
)
def network(run: Path, out: Path, unsafe_non_private: bool, publish_anyway: bool) -> None:
    """Write the trained generator of the run RUN to the new file OUT, for hospitals that use it.

    It is gated by the same rules as a data set, approved by a steward where there are any, and recorded in the
    ledger by the file's SHA-256. The file says what the run cost; `willis audit verify RUN --network FILE`
    compares file and claim with the ledger. It costs no budget of its own.

    \b
    Example, of a run of perfusion-2d:
      willis network run maps.safetensors
      willis perfusion sub-001_dsc.nii.gz maps --network maps.safetensors
    """
    from server.dataset.commands.publishing import outcome_lines
    from server.run.sampling import hand_over

    done = hand_over(run, out, unsafe=unsafe_non_private, anyway=publish_anyway)
    for line in outcome_lines(done, run, out) if done else [f"wrote     {out}"]:
        click.echo(line)


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("text")
def incident(run: Path, text: str) -> None:
    """Record in the ledger what readers of the report of RUN should know: a bug found later, say.

    An incident can be added and never taken back. The report and the exported ledger of RUN are made again.

    \b
    Example:
      willis incident run "Until 1.2 the report of this run understated the number of sites."
    """
    from server.ledger.incident import record_incident

    click.echo(f"report    {record_incident(run, text)}")
