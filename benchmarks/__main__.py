"""`python -m benchmarks`: what privacy and federation cost, as ratios to plain training, with memory.

Nothing here fails for being slow: machines differ. Ratios are taken within one run.
"""

import os
import platform
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import torch
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks import federation, memory, patient_step
from benchmarks.federation import Comparison, Federation
from benchmarks.patient_step import Setting
from benchmarks.timing import Cost, median, ratio

STEPS_NOTE = """\
CPU and wall are medians over turns; × CPU and × wall are medians, over turns, of this step's time to the plain
one's. 8 x 2: 8 patients with 2 records each, and as many fakes. Bare is the mean scores alone, without gradient
penalty, which per-record hooks cannot differentiate. MB is what two steps add to a process that has loaded the
libraries. Each patient's pass pays a fixed price: the fewer records in it, the higher the ratio.
"""
ROUNDS_NOTE = """\
Both do the same work, which their final weights confirm. × CPU is to the loop on one thread, × wall to the faster
loop; sites side by side may beat one loop. Start-up is paid once a run: enrolment, calibration of the noise,
reservation, the first checkpoint. MB is for two rounds.
"""


@click.command()
@click.option("--quick", is_flag=True, help="Small networks and few turns only: under a minute.")
def main(quick: bool) -> None:
    """Print what private steps and a federated run cost against plain training."""
    warnings.filterwarnings("ignore")
    console = Console(highlight=False)
    started = time.monotonic()
    console.print(_machine())
    console.print(_steps(patient_step.QUICK if quick else patient_step.SETTINGS, console))
    console.print(STEPS_NOTE, style="dim")
    rounds = {"lesions-3d": 5} if quick else {"lesions-3d": 13, "vessels-2d": 7}
    console.print(_federations(rounds, console))
    console.print(ROUNDS_NOTE, style="dim")
    console.print(f"{_load()}; {time.monotonic() - started:.0f} s in all")


def _machine() -> str:
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    return f"{os.cpu_count()} cores ({platform.machine()}), {versions}; {_load()}"


def _load() -> str:
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    busy = (
        f" (over {cores} cores: others work here too; trust ratios of CPU time only)" if load > 1.5 * cores else ""
    )
    return f"load {load:.1f}{busy}"


def _steps(settings: tuple[Setting, ...], console: Console) -> Table:
    table = _table("One critic step, one torch thread", "network", "loss", "step")
    torch.set_num_threads(1)
    compared = []
    for setting in settings:
        with console.status(f"steps of {_name(setting)}"):
            compared.append((setting, patient_step.compare(setting)))
    with console.status("memory of the steps"), ThreadPoolExecutor(os.cpu_count()) as pool:
        tasks = [(setting, way) for setting, costs in compared for way in costs]
        peaks = dict(zip(tasks, pool.map(lambda task: memory.of_step(*task), tasks), strict=True))
    for setting, costs in compared:
        about = [_name(setting), "recipe" if setting.penalty else "bare"]
        for way, taken in costs.items():
            figures = _figures(median(taken), ratio(taken, costs["plain"]), peaks[setting, way])
            table.add_row(*about, way, *figures)
            about = ["", ""]
        table.add_section()
    return table


def _federations(rounds: dict[str, int], console: Console) -> Table:
    table = _table(f"One round of {federation.SITES} sites, small preset", "recipe", "start-up s", "rounds by")
    for recipe, count in rounds.items():
        with console.status(f"federation, {recipe}"), tempfile.TemporaryDirectory() as folder:
            ours = Federation(Path(folder), recipe, count)
            ours.prepare()
            compared = federation.compare(ours)
            peaks = [memory.of_federation(ours, loop=loop) for loop in (False, True)]
        _add_federation(table, recipe, compared, peaks)
        table.add_section()
    return table


def _add_federation(table: Table, recipe: str, compared: Comparison, peaks: list[int]) -> None:
    by_threads = {n: compared.of_loop(n) for n in sorted(set(compared.threads))}
    against = {n: ratio(*pair) for n, pair in by_threads.items()}
    typical = Cost(wall=max(cost.wall for cost in against.values()), cpu=against[1].cpu)
    figures = _figures(median(compared.federated), typical, peaks[0])
    table.add_row(recipe, f"{compared.start_up:.1f}", "federation", *figures)
    for threads, (_, looped) in by_threads.items():
        base = ratio(looped, looped)
        figures = _figures(median(looped), base, peaks[1] if threads == 1 else None)
        table.add_row("", "", f"loop, {threads} thread" + "s" * (threads > 1), *figures)


def _table(title: str, *headings: str) -> Table:
    table = Table(*headings, title=title, title_justify="left", box=SIMPLE_HEAD)
    for heading in ("CPU ms", "wall ms", "× CPU", "× wall", "MB"):
        table.add_column(heading, justify="right")
    return table


def _figures(cost: Cost, times: Cost, peak: int | None) -> list[str]:
    size = "" if peak is None else f"{peak / 1e6:.0f}"
    return [f"{1e3 * cost.cpu:.0f}", f"{1e3 * cost.wall:.0f}", f"{times.cpu:.2f}", f"{times.wall:.2f}", size]


def _name(setting: Setting) -> str:
    return f"{setting.recipe} {setting.preset}, {setting.patients} x {setting.records}"


if __name__ == "__main__":
    main()
