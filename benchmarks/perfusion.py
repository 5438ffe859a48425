"""`python -m benchmarks.perfusion`: seconds and memory from a full-size series to maps, and against a plain loop.

The series is made up: curves of many tissues and of an artery, strewn over a ball of voxels, with noise. The loop
is what is written without the Fourier transform: the 2N matrix is decomposed once, and for each voxel thresholds
are tried until the residue stops oscillating, as the common MATLAB toolbox does. It is timed on some voxels.
"""

import subprocess
import sys
from dataclasses import dataclass

import click
import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from scipy.linalg import circulant, svd
from threadpoolctl import threadpool_limits

from benchmarks.timing import in_turns, median, ratio
from shared.imaging.perfusion.deconvolution import LEVELS, Deconvolution, oscillation
from shared.imaging.perfusion.pipeline import study_series
from shared.imaging.scan import Timing
from shared.phantoms.bolus import (
    ARTERY_RELAXIVITY,
    TISSUE_RELAXIVITY,
    Bolus,
    rician,
    tissue_concentration,
    to_signal,
)
from simulations.memory import peak_memory

SHAPE, FRAMES, TIMING = (128, 128, 21), 80, Timing(repetition_s=1.5, echo_s=0.03)
LOOPED = 300  # voxels

Curves = NDArray[np.float64]


@dataclass(frozen=True)
class Patient:
    """A made-up series, and some of its curves."""

    series: NDArray[np.float32]  # (i, j, k, t)
    artery: Curves  # (t,)
    tissue: Curves  # (n, t), noisy


def patient(shape: tuple[int, int, int], rng: np.random.Generator, kinds: int = 500) -> Patient:
    """Return a ball of random tissue with arteries in the middle of every slice."""
    times, bolus = TIMING.repetition_s * np.arange(FRAMES), Bolus()
    curves = tissue_concentration(
        bolus,
        times,
        cbf=rng.uniform(10, 70, kinds),
        cbv=rng.uniform(1.5, 5, kinds),
        delay_s=rng.uniform(0, 3, kinds),
    )
    clean = to_signal(curves, 500.0, TIMING.echo_s, TISSUE_RELAXIVITY)
    vessel = to_signal(bolus(times), 500.0, TIMING.echo_s, ARTERY_RELAXIVITY)
    axes = [np.linspace(-1, 1, edge) for edge in shape[:2]]
    inside = np.hypot(*np.meshgrid(*axes, indexing="ij")) < 0.65  # about a third of a slice, as of a head
    series = np.zeros((*shape, FRAMES), np.float32)
    series[inside] = clean[rng.integers(kinds, size=(inside.sum(), shape[2]))]
    middle = tuple(slice(edge // 2 - 2, edge // 2 + 2) for edge in shape[:2])
    series[middle] = vessel
    for frames in np.moveaxis(series, 2, 0):
        frames[:] = rician(frames, 10.0, rng)
    noisy = curves + 0.005 * rng.standard_normal(curves.shape)
    return Patient(series, bolus(times), noisy[:LOOPED])


def looped(tissue: Curves, artery: Curves) -> Curves:
    """Return oSVD residues of curves (n, t), one after the other, from the matrix."""
    column = np.pad(artery, (0, len(artery)))
    column = (np.roll(column, 1) + 4 * column + np.roll(column, -1)) / 6
    left, values, right = svd(TIMING.repetition_s * circulant(column))
    out = np.zeros((len(tissue), len(column)))
    for row, curve in enumerate(tissue):
        parts = np.pad(curve, (0, len(artery))) @ left / values
        for level in LEVELS:
            out[row] = np.where(values >= level * values[0], parts, 0) @ right
            if oscillation(out[None, row])[0] < Deconvolution().cut:
                break
    return out


def transformed(tissue: Curves, artery: Curves) -> NDArray[np.floating]:
    """Return the same by the Fourier transform."""
    return Deconvolution().residues(tissue, artery, TIMING.repetition_s)


@click.command()
@click.option("--turns", default=3, show_default=True, type=click.IntRange(min=1))
@click.option("--peak", is_flag=True, hidden=True, help="Only print what one study adds to this process's memory.")
def main(turns: int, peak: bool) -> None:
    """Print what a patient of 128 x 128 x 21 voxels and 80 frames takes."""
    made = patient(SHAPE, np.random.default_rng(1))
    if peak:
        before = peak_memory()
        study_series(made.series, TIMING)
        print(peak_memory() - before)
        return
    assert np.allclose(looped(made.tissue, made.artery), transformed(made.tissue, made.artery), atol=1e-9)

    def study() -> None:
        study_series(made.series, TIMING)

    def loop() -> None:
        looped(made.tissue, made.artery)

    def transform() -> None:
        transformed(made.tissue, made.artery)

    with threadpool_limits(1):  # for the loop's small products, threads only get in each other's way
        costs = in_turns({"study": study, "loop": loop, "transform": transform}, turns)
    whole, times = median(costs["study"]), ratio(costs["loop"], costs["transform"])
    command = [sys.executable, "-m", "benchmarks.perfusion", "--peak"]
    added = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    table = Table("what", "figure", box=SIMPLE_HEAD, show_header=False)
    table.add_row("voxels of brain", str(int(study_series(made.series, TIMING).brain.sum())))
    table.add_row("series to maps, wall s", f"{whole.wall:.2f}")
    table.add_row("series to maps, CPU s", f"{whole.cpu:.2f}")
    table.add_row("memory added to the series, MB", f"{added / 1e6:.0f}")
    table.add_row("the series itself, MB", f"{made.series.nbytes / 1e6:.0f}")
    table.add_row(f"loop over {LOOPED} voxels / Fourier, CPU", f"{times.cpu:.0f} x")
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
