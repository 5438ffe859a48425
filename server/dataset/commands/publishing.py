"""`willis dataset publish`: further cases of a private run, free of any privacy cost."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from server.dataset.commands.approving import gate_lines

if TYPE_CHECKING:
    from server.dataset.releasing.release import Outcome


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--count", default=100, show_default=True, type=click.IntRange(min=1), help="Cases to draw.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Other seeds, other cases.")
@click.option("--source", help="What draws them, where a recipe has several (calibrated: simulator, generator).")
@click.option(
    "--publish-anyway", is_flag=True, help="Publish although the public simulator, which is free, is worth more."
)
def publish(run: Path, out: Path, count: int, seed: int, source: str | None, publish_anyway: bool) -> None:
    """Draw COUNT more cases from the finished private run RUN and publish them in the new folder OUT.

    Drawing reads no patient: it costs no privacy budget, however many cases are drawn. The release gate looks at
    every image first. Where the federation has stewards, the cases wait in RUN/candidates for one to approve them.
    """
    from server.run.sampling import publish_more

    done = publish_more(run, out, count=count, seed=seed, source=source or "", anyway=publish_anyway)
    for line in outcome_lines(done, run, out):
        click.echo(line)
    if not done.missing:
        click.echo(f"next      look at {out / 'contact-sheet.png'}; willis evaluate {out} --help")


def outcome_lines(done: "Outcome", run: Path, out: Path) -> list[str]:
    """Return what the gate found, and where the data set or network is or what it waits for."""
    found = [f"gate      {line}" for line in gate_lines(done.checks)]
    if not done.missing:
        return [*found, f"released  {done.path} ({done.manifest[:12]})"]
    waits = [f"waits     {done.path}: {why}" for why in done.missing]
    asked = [
        f"next      a steward runs: willis dataset approve {done.path} --key FOLDER --as NAME",
        f"          then you: willis dataset release {run} {done.path} {out} --approval approval.json",
    ]
    return [*found, *waits, *asked]
