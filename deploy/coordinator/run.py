"""`willis coordinator run` and `resume`: hand a prepared run to Flower and follow it to its end."""

import sys

import click

from deploy.coordinator.home import CoordinatorHome
from server.run.options import run_options

_DETACH = click.option("--detach", is_flag=True, help="Return once it has begun; `status` and `watch` follow it.")


@click.command()
@click.argument("name")
@run_options
@click.option("--sites", type=click.IntRange(min=1), help="Hospitals wanted; all that are approved if not given.")
@click.option("--among", multiple=True, metavar="SITE", help="Hospitals that may take part; all if not given.")
@click.option(
    "--quorum",
    type=click.IntRange(min=1),
    help="Go on with as few; two thirds of those wanted, and never one of several, if not given.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    help="A simulation: noise that can be repeated. Hospitals refuse it unless their policy says otherwise.",
)
@_DETACH
@click.pass_obj
def run(
    home: CoordinatorHome,
    name: str,
    recipe: str,
    variant: str | None,
    preset: str,
    settings: tuple[str, ...],
    epsilon: float | None,
    rounds: int | None,
    pretrain: str | None,
    count: int,
    unsafe_non_private: bool,
    sites: int | None,
    among: tuple[str, ...],
    quorum: int | None,
    seed: int | None,
    detach: bool,
) -> None:
    """Start the run NAME with the hospitals that are connected, and follow it to its end.

    Needs `willis coordinator up`. Hospitals refuse code they have not approved and settings their policy does not
    allow; a refusal names the hospital and what to do. Leaves HOME/runs/NAME with ledger, checkpoints and report.
    The exit status is 0 if the run finished, 1 if it failed.

    \b
    Examples:
      willis coordinator --home centre run first --recipe vessels-2d --epsilon 8
      willis coordinator --home centre run second --recipe lesions-3d --epsilon 8 --rounds 40 --detach
    """
    from deploy.coordinator.starting import begin, submit
    from server.run.asked import Asked
    from shared.recipes.settings import parse

    asked = Asked(
        recipe,
        variant,
        preset,
        parse(settings),
        epsilon,
        None,
        rounds,
        seed,
        pretrain,
        count,
        unsafe_non_private,
        None,
        None,
    )
    for line in begin(home, name, asked, sites, quorum, among=among):
        click.echo(line)
    submit(home, name)
    follow_run(home, name, detach=detach)


@click.command()
@click.argument("name")
@_DETACH
@click.pass_obj
def resume(home: CoordinatorHome, name: str, detach: bool) -> None:
    """Continue the run NAME from its last round: after a crash, a lost quorum, or a refusal that was settled.

    Nothing is spent twice: a hospital answers a question it was asked before with the bytes it kept.

    \b
    Example:
      willis coordinator --home centre resume first
    """
    from deploy.coordinator.starting import submit

    submit(home, name)
    follow_run(home, name, detach=detach)


def follow_run(home: CoordinatorHome, name: str, *, detach: bool) -> None:
    """Follow a run that was handed to Flower, and exit as it ended; with `detach`, only say where it is."""
    from deploy.coordinator.following import follow, last_words

    if detach:
        click.echo(f"begun     {home.run(name).path}; willis coordinator watch {name}")
        return
    standing = follow(home, name)
    finished = standing.status.state == "finished"
    for line in last_words(standing):
        click.echo(line, err=not finished)
    sys.exit(0 if finished else 1)
