"""`willis query dice` and `distance`, of hospitals on one machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_OUT = click.argument("out", type=click.Path(path_type=Path, file_okay=False))
_BUDGET = (
    click.option(
        "--epsilon", type=float, required=True, help="What an answer may cost a patient; add/remove, PLD."
    ),
    click.option("--delta", type=float, help="δ of the federation; 1e-5 when not given and it is new."),
    click.option("--seed", type=click.IntRange(min=0), help="Repeat everything, noise too: a simulation."),
)


def _budget_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(_BUDGET):
        command = option(command)
    return command


@click.command()
@_OUT
@click.option(
    "--of",
    required=True,
    type=_FOLDER,
    help="Published vessel data set (or its run) to train the network on: free, it reads no patient.",
)
@click.option(
    "--cohorts",
    required=True,
    type=_FOLDER,
    help="Hospitals with the patients to score: held-out ones, who pay for it.",
)
@_budget_options
@click.option(
    "--steps", default=300, show_default=True, type=click.IntRange(min=1), help="Updates of the network."
)
@click.option("--preset", default="small", show_default=True, help="Size of the patients' patches.")
@click.option(
    "--federation", type=click.Path(path_type=Path, file_okay=False), help="  [default: DIR/.federation]"
)
def dice(
    out: Path,
    of: Path,
    cohorts: Path,
    epsilon: float,
    delta: float | None,
    seed: int | None,
    steps: int,
    preset: str,
    federation: Path | None,
) -> None:
    """Ask how well a network trained on a published data set finds the vessels of private patients.

    Each hospital scores its own patients (Dice over a patient's patches). The mean over all patients comes back
    with the deviation of its noise, and lies in OUT/answer.json.

    \b
    Example:
      willis query dice answer --of run --cohorts held-out --epsilon 1
    """
    from server.query.asking import Budget
    from simulations.queries import query_dice

    for line in query_dice(out, of, cohorts, Budget(epsilon, delta, seed, federation), preset, steps):
        click.echo(line)


@click.command()
@_OUT
@click.option("--of", required=True, type=_FOLDER, help="Data set or candidate (or the run with its data set).")
@click.option(
    "--cohorts", required=True, type=_FOLDER, help="Hospitals the data set was trained on, with the same patients."
)
@click.option(
    "--held-out", required=True, type=_FOLDER, help="Hospitals with patients like these whom nobody trained on."
)
@_budget_options
@click.option("--run", type=_FOLDER, help="The run that drew the data set, where it does not lie within.")
def distance(
    out: Path,
    of: Path,
    cohorts: Path,
    held_out: Path,
    epsilon: float,
    delta: float | None,
    seed: int | None,
    run: Path | None,
) -> None:
    """Ask whether synthetic cases lie nearer to patients they were trained on than to others: copies do.

    Two queries, OUT/held-out and OUT/trained, count patients by their least distance to any case, in bins that
    come from public phantoms. The first costs the held-out patients epsilon in their own ledger; the second costs
    those trained on as much on top of their run. OUT/answer.json says passed, failed or cannot tell, and what
    share of copied patients could have been found at all: with few patients or little epsilon, none.

    \b
    Example:
      willis query distance answer --of run --cohorts cohorts --held-out held-out --epsilon 1
    """
    from server.query.asking import Budget
    from simulations.queries import query_distance

    for line in query_distance(out, of, cohorts, held_out, Budget(epsilon, delta, seed), run):
        click.echo(line)
