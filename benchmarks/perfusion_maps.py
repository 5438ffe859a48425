"""`python -m benchmarks.perfusion_maps`: seconds from a patient's raw series to the maps that a network draws.

The networks are untrained: times do not depend on weights. A patient is one of the public simulator's, from arrays
in memory to arrays in memory: frames, network, maps in their units.
"""

import warnings
from collections.abc import Callable

import click
import numpy as np
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from torch import nn

from benchmarks.timing import in_turns, median
from shared.device import device, placed
from shared.imaging.scan import Role, Scan
from shared.phantoms.dsc import simulate_patients
from shared.recipes.catalogue import catalogue, load
from shared.recipes.perfusion_2d import Perfusion
from shared.recipes.perfusion_records import draw_maps


def drawing(variant: str, preset: str, patient: Scan) -> Callable[[], None]:
    """Return what draws the maps of a patient."""
    recipe = load(Perfusion.name, variant, preset)
    assert isinstance(recipe, Perfusion)
    generator = placed(nn.ModuleDict({"generator": recipe.build(1)["generator"]}), device())["generator"]

    def draw() -> None:
        draw_maps(generator, patient, recipe.edge, recipe.maps)

    return draw


@click.command()
@click.option("--preset", type=click.Choice(Perfusion.presets), default="small", show_default=True)
@click.option("--shape", type=int, nargs=3, default=(64, 64, 8), show_default=True, help="Voxels of a series.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--turns", type=click.IntRange(1), default=5, show_default=True)
def main(preset: str, shape: tuple[int, int, int], threads: int, turns: int) -> None:
    """Print how long each variant takes for a patient."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(threads)
    patient = next(simulate_patients(shape, np.random.default_rng(1)))
    where = device()
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else f"CPU, {threads} threads"
    size = " x ".join(map(str, patient.volumes[Role.DSC].shape))
    table = Table("variant", title=f"{name}, preset {preset}, {size}", box=SIMPLE_HEAD)
    for heading in ("seconds a patient", "of CPU"):
        table.add_column(heading, justify="right")
    for variant in catalogue()[Perfusion.name]:
        cost = median(in_turns({variant: drawing(variant, preset, patient)}, turns)[variant])
        table.add_row(variant, f"{cost.wall:.2f}", f"{cost.cpu:.2f}")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
