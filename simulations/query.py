"""`willis query`: a figure on private patients, noised, reserved and recorded like any other spending."""

from pathlib import Path

import click


@click.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--of",
    "of",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Published vessel data set (or its run) to train the network on: free, it reads no patient.",
)
@click.option(
    "--cohorts",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Hospitals with the patients to score: held-out ones, who pay for it.",
)
@click.option("--epsilon", type=float, required=True, help="What the answer may cost a patient; add/remove, PLD.")
@click.option("--delta", type=float, help="δ of the federation; 1e-5 when not given and it is new.")
@click.option(
    "--steps", default=300, show_default=True, type=click.IntRange(min=1), help="Updates of the network."
)
@click.option("--preset", default="small", show_default=True, help="Size of the patients' patches.")
@click.option("--seed", type=click.IntRange(min=0), help="Repeat everything, noise too: a simulation.")
@click.option(
    "--federation", type=click.Path(path_type=Path, file_okay=False), help="  [default: DIR/.federation]"
)
def query(
    out: Path,
    of: Path,
    cohorts: Path,
    epsilon: float,
    delta: float | None,
    steps: int,
    preset: str,
    seed: int | None,
    federation: Path | None,
) -> None:
    """Ask how well a network trained on a published data set finds the vessels of private patients.

    Each hospital scores its own patients (Dice over a patient's patches) and releases the noisy sum of the
    scores, once. The mean over all patients comes back with the deviation of its noise. It costs the scored
    patients epsilon; the un-noised figure never leaves a hospital, and is not kept there.

    \b
    Example:
      willis query answer --of run --cohorts held-out --epsilon 1
    """
    from server.run.asked import Asked
    from simulations.queries import ask_dice

    asked = Asked(
        recipe="query-dice",
        variant=None,
        preset=preset,
        settings={},
        epsilon=epsilon,
        delta=delta,
        rounds=None,
        seed=seed,
        pretrain="none",
        count=1,
        unsafe_non_private=False,
        overlap=None,
        federation=federation,
    )
    for line in ask_dice(out, of, cohorts, asked, steps):
        click.echo(line)
