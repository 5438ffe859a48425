"""`willis coordinator estimate`: what a run will move, keep and take, before anybody is asked for anything."""

import click

_EPILOG = """\b
Examples:
  willis coordinator estimate --recipe lesions-3d --sites 5 --mbit 50
  willis coordinator estimate --recipe translate-2d --preset paper --patients 80 --measure
"""


@click.command(epilog=_EPILOG)
@click.option("--recipe", "name", default="vessels-2d", show_default=True, help="What to synthesise.")
@click.option("--variant", help="Variant of the recipe; its default when not given.")
@click.option("--preset", default="small", show_default=True, help="small: a laptop; paper: the paper's sizes.")
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="A setting of the recipe. Repeatable."
)
@click.option("--rounds", type=click.IntRange(min=1), help="Rounds; the recipe's default when not given.")
@click.option(
    "--sites", default=3, show_default=True, type=click.IntRange(min=1), help="Hospitals that take part."
)
@click.option(
    "--mbit",
    default=100.0,
    show_default=True,
    type=click.FloatRange(min=0, min_open=True),
    help="Speed of the slowest hospital's link, each way, in Mbit/s.",
)
@click.option(
    "--centre-mbit",
    type=click.FloatRange(min=0, min_open=True),
    help="Speed of the centre's link, which carries all hospitals at once; as --mbit when not given.",
)
@click.option(
    "--patients",
    default=50,
    show_default=True,
    type=click.IntRange(min=1),
    help="Patients of the largest hospital, for the time of training.",
)
@click.option("--measure", is_flag=True, help="Time private steps on this machine, on a public phantom patient.")
def estimate(
    name: str,
    variant: str | None,
    preset: str,
    settings: tuple[str, ...],
    rounds: int | None,
    sites: int,
    mbit: float,
    centre_mbit: float | None,
    patients: int,
    measure: bool,
) -> None:
    """Estimate a private run's traffic, disk and time. Nobody is asked and nothing is spent."""
    from rich.console import Console
    from rich.table import Table

    from deploy.coordinator import estimates
    from deploy.coordinator.measuring import patient_step
    from deploy.words import duration, size
    from shared.recipes.catalogue import load
    from shared.recipes.settings import parse

    recipe = load(name, variant, preset, settings=parse(settings))
    known = estimates.estimate(recipe, rounds=rounds, sites=sites)
    transfer = known.transfer(mbit, centre_mbit or mbit)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("run", f"{name} {recipe.variant}, preset {preset}: {known.rounds} rounds, {sites} hospitals")
    table.add_row("trained", f"{known.trained:,} numbers come back from each hospital in a round")
    table.add_row("a round", f"{size(known.down)} to each hospital, {size(known.up)} from each")
    table.add_row("in all", f"{size(known.total)} through the centre's link")
    table.add_row("disk", f"{size(known.centre_disk)} at the centre, {size(known.site_disk)} at each hospital")
    table.add_row("transfer", f"{duration(transfer)} a round")
    floor = f"{estimates.FLOOR_SECONDS:g} s a round, as measured with Flower 1.41 on one machine"
    table.add_row("Flower", f"{floor}: it polls, and starts a process for each message")
    a_round = transfer + estimates.FLOOR_SECONDS
    if measure:
        step = patient_step(recipe)
        training = known.training(step, patients)
        of = f"{known.sampling_rate:g} × {patients} patients × {known.steps} steps"
        table.add_row(
            "training", f"{duration(training)} a round: {step:.3f} s × {of}, as measured on this machine"
        )
        a_round += training
    table.add_row("time", f"{duration(known.rounds * a_round)} of rounds" + _without(measure))
    Console(highlight=False, markup=False).print(table)


def _without(measured: bool) -> str:
    left_out = "pre-training and the centre's own work between rounds"
    return f", without {left_out}" if measured else f", without training (see --measure), {left_out}"
