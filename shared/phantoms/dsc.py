"""A public simulator of perfusion series with their true maps: costs no ε, and anyone may run it.

A patient is a vector `theta` of positive parameters, drawn log-uniformly from ranges broader than people and
scanners have (domain randomisation; Tobin et al., 2017): a simulated anatomical map, blood in its structures, a
territory that lacks it, and a series drawn from both. The truths are those of `shared.phantoms.kinetics`.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from shared.imaging.anatomy import is_parenchyma
from shared.imaging.scan import Role, Scan, Timing
from shared.phantoms import anatomy, bloodflow, bolus_imaging
from shared.phantoms.anatomy import Shape, simulate_anatomy
from shared.phantoms.bloodflow import draw_blood
from shared.phantoms.bolus import Bolus, Residue
from shared.phantoms.bolus_imaging import draw_series
from shared.phantoms.kinetics import Flow, tissue

BOLUS_RANGES: dict[str, tuple[float, float]] = {
    "arrival": (6.0, 30.0),  # seconds after the first frame; never later than `_LATEST` of the series
    "steepness": (2.0, 4.5),  # exponent of the gamma-variate
    "width": (0.8, 2.8),  # of the gamma-variate, seconds
    "peak": (2.0, 16.0),  # in the artery, mM
    "recirculation": (0.03, 0.3),  # area of the second pass, of the first
    "circulation": (6.0, 18.0),  # from the first pass to the second, seconds
    "tail": (0.005, 0.15),  # level that stays, of the peak
    "dispersion": (0.005, 0.5),  # seconds of exponential dispersion a second of delay
}
RANGES = anatomy.RANGES | bloodflow.RANGES | BOLUS_RANGES | bolus_imaging.RANGES
NAMES = tuple(RANGES)
LOG_LOW, LOG_HIGH = np.log(np.array(list(RANGES.values()))).T

_LATEST = 0.35  # of the series; a bolus that comes later has no washout in it
_RESIDUES = (Residue.EXPONENTIAL, Residue.TRIANGULAR, Residue.BOX)


def draw_parameters(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (n, parameters) drawn log-uniformly from `RANGES`, in the order of `NAMES`."""
    return np.exp(rng.uniform(LOG_LOW, LOG_HIGH, size=(n, len(NAMES))))


def simulate_dsc(theta: NDArray[np.float64], shape: Shape, rng: np.random.Generator) -> Scan:
    """Return series, maps and brain of one public patient.

    DSC is (i, j, k, t) in scanner units; CBF, CBV, MTT, TMAX and TTP (i, j, k) are 0 outside tissue; BRAIN is 1
    in tissue and fluid.

    Args:
        theta: parameters (n,) in the order of `NAMES`.
        shape: voxels along i, j, k; the field of view is that of `shared.phantoms.anatomy`.
        rng: draws everything else.
    """
    p = dict(zip(NAMES, theta.tolist(), strict=True))
    timing = Timing(p["repetition"], p["echo"])
    times = timing.repetition_s * np.arange(round(p["frames"]), dtype=np.float64)
    labels, affine = simulate_anatomy(p, shape, rng)
    where = is_parenchyma(labels)
    blood = draw_blood(p, labels, affine, rng)
    flow = _flow(p, float(times[-1]), rng)
    agent, maps = tissue(flow, times, blood.cbf[where], blood.mtt[where], blood.delay_s[where])
    volumes = {Role.DSC: draw_series(p, labels, affine, agent, flow.bolus, times, rng)}
    for role, values in zip((Role.CBF, Role.CBV, Role.MTT, Role.TMAX, Role.TTP), maps, strict=True):
        volumes[role] = np.zeros(shape, np.float32)
        volumes[role][where] = values
    volumes[Role.BRAIN] = (labels != 0).astype(np.float32)
    return Scan(volumes, affine, timing)


def simulate_patients(shape: Shape, rng: np.random.Generator) -> Iterator[Scan]:
    """Yield public patients without end."""
    while True:
        yield simulate_dsc(draw_parameters(1, rng)[0], shape, rng)


def _flow(p: dict[str, float], end_s: float, rng: np.random.Generator) -> Flow:
    residue = _RESIDUES[int(rng.integers(len(_RESIDUES)))]
    bolus = Bolus(
        arrival_s=min(p["arrival"], _LATEST * end_s),
        shape=p["steepness"],
        width_s=p["width"],
        peak=p["peak"],
        recirculation=p["recirculation"],
        recirculation_s=p["circulation"],
        tail=p["tail"],
    )
    return Flow(bolus, residue, 0.0 if residue is Residue.BOX else p["dispersion"])
