"""`willis dataset publish`: further cases of a private run, free of any privacy cost."""

from pathlib import Path

import click


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

    Drawing reads no patient: it costs no privacy budget, however many cases are drawn.
    """
    from server.run.sampling import publish_more

    publish_more(run, out, count=count, seed=seed, source=source or "", anyway=publish_anyway)
    click.echo(f"wrote     {count} cases to {out}")
    click.echo(f"next      look at {out / 'contact-sheet.png'}; willis evaluate {out} --help")
