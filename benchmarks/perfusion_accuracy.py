"""`python -m benchmarks.perfusion_accuracy`: how wrong CBF is, by noise, residue, method and delay.

Curves as Wu et al. (2003) made them: CBV 4, CBF 10 to 70, TR 1 s, a gamma-variate without recirculation or tail, a
signal that falls by 40 % at CBF 60. Told is the mean error of CBF where the bolus comes 2 s early, without
delay, and 4 s late.
"""

import click
import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from shared.imaging.perfusion.baseline import Baseline
from shared.imaging.perfusion.deconvolution import Deconvolution, Method
from shared.imaging.perfusion.maps import Artery, perfusion
from shared.imaging.perfusion.relaxation import relaxation
from shared.imaging.scan import Role
from shared.phantoms.bolus import TISSUE_RELAXIVITY, Bolus, Residue, rician, tissue_concentration, to_signal

FLOWS = np.arange(10, 71, 10)
CURVES = 200  # of each flow
ECHO_S = 0.03
BASELINE = Baseline(first=1, end=15, fall=0.4)
WAYS = (Deconvolution(), Deconvolution(limit=0.095), Deconvolution(Method.CSVD), Deconvolution(Method.SSVD))


@click.command()
def main() -> None:
    """Print both tables."""
    console = Console(highlight=False, width=100)
    table = Table(
        "SNR", "residue", box=SIMPLE_HEAD, title="mean error of CBF, ml/100 g/min, at delays of -2 / 0 / 4 s"
    )
    for how in WAYS:
        table.add_column(f"{how.method.value} {how.cut:g}", justify="right", no_wrap=True)
    for snr in (100, 50, 20):
        for kind in (Residue.EXPONENTIAL, Residue.BOX, Residue.TRIANGULAR):
            table.add_row(str(snr), kind.value, *(_errors(kind, snr, how) for how in WAYS))
    console.print(table)
    table = Table("TR s", box=SIMPLE_HEAD, title="CBF of 60, no noise, 12 arrivals within a frame")
    for how in WAYS[:3]:
        table.add_column(f"{how.method.value} {how.cut:g}", justify="right", no_wrap=True)
    for step_s in (1.0, 1.5, 2.0):
        found = [_phases(step_s, how) for how in WAYS[:3]]
        table.add_row(f"{step_s:g}", *(f"{flow.min():.0f} to {flow.max():.0f}" for flow in found))
    console.print(table)


def _errors(kind: Residue, snr: float, how: Deconvolution) -> str:
    """Return the mean error of CBF of noisy curves at each delay."""
    bolus, times = Bolus(arrival_s=16.0, recirculation=0.0, tail=0.0), np.arange(80.0)
    told = []
    for delay in (-2.0, 0.0, 4.0):
        clean = tissue_concentration(bolus, times, cbf=FLOWS, cbv=4, delay_s=delay, kind=kind)
        signal = to_signal(np.repeat(clean, CURVES, axis=0), 100.0, ECHO_S, TISSUE_RELAXIVITY)
        noisy = rician(signal, 100.0 / snr, np.random.default_rng(1))
        tissue = relaxation(noisy, BASELINE, ECHO_S) / TISSUE_RELAXIVITY
        flow = perfusion(tissue, Artery(bolus(times), 1.0), how)[Role.CBF]
        told.append((flow - np.repeat(FLOWS, CURVES)).mean())
    return " / ".join(f"{error:+.0f}" for error in told)


def _phases(step_s: float, how: Deconvolution) -> NDArray[np.floating]:
    """Return CBF of tissue of 60 for a bolus that arrives at points within a frame."""
    times = step_s * np.arange(80, dtype=np.float64)
    flows = []
    for phase in np.arange(12) / 12:
        bolus = Bolus(arrival_s=(10 + phase) * step_s)
        tissue = tissue_concentration(bolus, times, cbf=60, cbv=4)
        flows.append(perfusion(tissue, Artery(bolus(times), step_s), how)[Role.CBF][0])
    return np.array(flows)


if __name__ == "__main__":
    main()
