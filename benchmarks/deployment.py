"""`python -m benchmarks.deployment`: what a round costs across hospitals, beside the same round in one process.

Three hospitals and a centre in network namespaces, over mutual TLS (as root, on Linux). What a round takes more
than in one process is Flower's polls, a process started for each message, and the way there and back.
"""

import json
import subprocess
import tempfile
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.deploy.hospitals import WILLIS, embedded_twin, federation

_WORDS = ("--recipe", "lesions-3d", "--epsilon", "8", "--count", "2", "--pretrain", "none")


@click.command()
@click.option("--rounds", default=5, show_default=True, type=click.IntRange(min=2))
@click.option("--steps", default=5, show_default=True, type=click.IntRange(min=1), help="Private steps a round.")
def main(rounds: int, steps: int) -> None:
    """Print seconds and bytes a round, in one process and across three hospitals."""
    words = (*_WORDS, "--rounds", str(rounds), "--set", f"steps={steps}")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        made = ["phantoms", "lesions", root / "cohorts", "--sites", 3, "--patients", 6, "--seed", 1]
        subprocess.run([*WILLIS, *map(str, made)], check=True, capture_output=True)
        with federation(root, root / "cohorts") as whole:
            alone = _status(embedded_twin(whole, root / "cohorts", root / "twin", words))
            for place in (whole.centre, *whole.sites):
                place.up()
            whole.centre.willis("run", "first", *words, "--seed", 1)
            apart = _status(whole.centre.home / "runs" / "first")
    table = Table("", "one process", "three hospitals")
    table.add_row("s a round", *(f"{found['mean_round_seconds']:.1f}" for found in (alone, apart)))
    for name, key in (("received", "bytes_in"), ("sent", "bytes_out")):
        table.add_row(f"bytes {name} / trained parameters", *(f"{_ratio(f, key):.3f}" for f in (alone, apart)))
    console = Console(highlight=False)
    console.print(f"lesions-3d, small, {rounds} rounds of {steps} steps, {alone['update_bytes']:,} bytes trained")
    console.print(table)


def _status(run: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((run / "status.json").read_bytes())
    return found


def _ratio(found: dict[str, float], key: str) -> float:
    return found[key] / (found["updates"] * found["update_bytes"])


if __name__ == "__main__":
    main()
