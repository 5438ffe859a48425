"""`willis coordinator query`: a question about a data set, asked of connected hospitals like any run."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deploy.coordinator.home import CoordinatorHome

if TYPE_CHECKING:  # brings torch
    from server.run.asked import Asked

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_OPTIONS = (
    click.option("--of", required=True, type=_FOLDER, help="Data set (or the run with its data set)."),
    click.option(
        "--epsilon", type=float, required=True, help="What the answer may cost a patient; add/remove, PLD."
    ),
    click.option("--quorum", type=click.IntRange(min=1), help="As of `run`."),
    click.option("--seed", type=click.IntRange(min=0), help="A simulation, as of `run`."),
    click.option("--detach", is_flag=True, help="Return once it has begun."),
)


def _options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group()
def query() -> None:
    """Ask hospitals something of their patients: the answer is noised, and they pay for it in the ledger.

    A query is a run of one round. Hospitals may leave one out by name in their policy (`queries`); what it cost
    their patients, `willis site status` shows.
    """


@query.command()
@click.argument("name")
@_options
@click.option("--among", multiple=True, metavar="SITE", help="Hospitals to ask; all if not given. Repeatable.")
@click.option(
    "--steps", default=300, show_default=True, type=click.IntRange(min=1), help="Updates of the network."
)
@click.option("--preset", default="small", show_default=True, help="Size of the patients' patches.")
@click.pass_obj
def dice(
    home: CoordinatorHome,
    name: str,
    of: Path,
    epsilon: float,
    quorum: int | None,
    seed: int | None,
    detach: bool,
    among: tuple[str, ...],
    steps: int,
    preset: str,
) -> None:
    """Ask, as NAME, how well a network trained on a published data set finds patients' vessels.

    \b
    Example:
      willis coordinator query dice useful --of runs/first --among hospital-d --epsilon 1
    """
    from server.query.asking import Budget, ask_dice
    from shared.bars import bars

    with bars() as progress:
        asked, initial = ask_dice(of, preset, steps, Budget(epsilon, seed=seed), progress)
    _ask(home, name, asked, initial, among, quorum, detach=detach)


@query.command()
@click.argument("name")
@_options
@click.option(
    "--held-out",
    multiple=True,
    metavar="SITE",
    help="Hospital with patients nobody trained on; repeatable. If not given, those trained on are asked.",
)
@click.option("--run", type=_FOLDER, help="The run that drew the data set, where it does not lie within.")
@click.pass_obj
def distance(
    home: CoordinatorHome,
    name: str,
    of: Path,
    epsilon: float,
    quorum: int | None,
    seed: int | None,
    detach: bool,
    held_out: tuple[str, ...],
    run: Path | None,
) -> None:
    """Ask, as NAME, how near patients lie to a data set: those it was trained on, or others.

    Both are asked, each once; `willis query compare` then says whether the data set holds copies of patients.

    \b
    Examples:
      willis coordinator query distance others --of runs/first --epsilon 1 --held-out hospital-a-held-out
      willis coordinator query distance near --of runs/first --epsilon 1
      willis query compare answer.json --of runs/first --trained runs/near --held-out runs/others
    """
    from server.query.asking import Budget, ask_distance
    from server.query.data_set import find_data_set
    from shared.bars import bars

    data_set = find_data_set(of, run)
    trained = sorted({site for seen in data_set.views() for site in seen.reserves})
    if both := sorted(set(trained) & set(held_out)):
        raise click.UsageError(f"--held-out {both[0]}: the data set was trained on its patients; ask another")
    with bars() as progress:
        asked, initial = ask_distance(data_set, Budget(epsilon, seed=seed), progress)
    _ask(home, name, asked, initial, held_out or trained, quorum, detach=detach)


def _ask(
    home: CoordinatorHome,
    name: str,
    asked: "Asked",
    initial: bytes,
    among: Sequence[str],
    quorum: int | None,
    *,
    detach: bool,
) -> None:
    from deploy.coordinator.run import follow_run
    from deploy.coordinator.starting import begin, submit

    for line in begin(home, name, asked, None, quorum, initial=initial, among=among):
        click.echo(line)
    submit(home, name)
    follow_run(home, name, detach=detach)
