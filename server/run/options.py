"""What can be asked of a run, as options: the same words on one machine and across hospitals."""

from collections.abc import Callable
from typing import Any

import click

_OPTIONS = (
    click.option(
        "--recipe",
        default="vessels-2d",
        show_default=True,
        help="What to synthesise.",
    ),
    click.option("--variant", help="Variant of the recipe; its default when not given."),
    click.option(
        "--preset",
        default="small",
        show_default=True,
        help="small: a laptop; paper: the paper's sizes; published: these, with its code's faults.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="A setting of the recipe in place of its default; an unknown name lists those there are. Repeatable.",
    ),
    click.option(
        "--epsilon",
        type=float,
        help="Most this run alone (stroke-dwi: both its runs) may cost a patient at one site (unit: patient, "
        "add/remove, PLD).",
    ),
    click.option("--rounds", type=click.IntRange(min=1), help="Rounds; the recipe's default when not given."),
    click.option(
        "--pretrain",
        type=click.Choice(["phantoms", "none"]),
        help="Public pre-training, which costs no epsilon; on in small, and where the recipe has steps for it.",
    ),
    click.option("--count", default=200, show_default=True, type=click.IntRange(min=1), help="Cases to publish."),
    click.option("--unsafe-non-private", is_flag=True, help="No noise: nothing may be published from the run."),
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options recipe, variant, preset, settings, epsilon, rounds, pretrain, count, unsafe_non_private."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
