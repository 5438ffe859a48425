"""From blood to signal: what each voxel of one patient shows during the passage of contrast agent.

A voxel is a mixture of tissue, in whose capillaries the agent spoils the field far beyond themselves, and of the
blood of large vessels, which fades by itself and spoils the field around it. So the middle of a large artery
sinks into noise, and the artery's curve is seen best beside it.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shared.imaging.perfusion.blood import BLOOD
from shared.imaging.scan import Volume
from shared.phantoms.bolus import TISSUE_RELAXIVITY, Bolus, tissue_concentration, to_signal
from shared.phantoms.kinetics import Flow, Maps, tissue
from simulations.hospitals.bloodstream import Vessels
from simulations.hospitals.grid import Grid
from simulations.hospitals.haemodynamics import MTT_S
from simulations.hospitals.passage import Passage

_IN_BLOOD = 16.0  # relaxivity in large vessels, 1/s/mM of their blood
_AROUND_ARTERIES, _AROUND_VEINS = 25.0, 80.0  # and around them, of the voxel; most veins are thin and many
_ARTERIAL, _VENOUS = 1.1, 0.75  # brightness of their blood; veins hold less oxygen
_SEEN = 2e-3  # share of large vessels below which a voxel has none
_REGION_MM = 10.0  # over which arteries come as late as their tissue
_ON_THE_WAY = 0.3  # share of the tissue's delay that blood in arteries has
_CAPILLARIES_S, _TO_VEINS_S = 4.5, 2.0  # from arteries to the large veins: transit time, and further delay
_STEP_S = 0.1  # of delays of large vessels


@dataclass(frozen=True)
class Tissue:
    """Blood in the tissue of each voxel (I, J, K)."""

    share: Volume  # of the voxel that is tissue
    cbf: Volume  # ml/100 g/min, of the whole voxel
    cbv: Volume  # ml/100 g
    delay_s: Volume  # after the base of the brain


def signals(
    picture: Volume,
    blood: Tissue,
    vessels: Vessels,
    grid: Grid,
    passage: Passage,
    times: NDArray[np.float64],
    echo_s: float,
) -> tuple[NDArray[np.bool_], NDArray[np.float32], Maps]:
    """Return the voxels (I, J, K) with blood, their signal (n, t) at `times` in seconds, and their maps (n,)."""
    within = (blood.cbf > 0) | (vessels.arteries + vessels.veins > _SEEN)
    flow = Flow(passage.bolus, passage.residue, passage.dispersion)
    cbf, cbv = blood.cbf[within], blood.cbv[within]
    mtt = np.where(cbf > 0, np.clip(60 * cbv / np.maximum(cbf, 1e-6), *MTT_S), MTT_S[0])
    agent, maps = tissue(flow, times, cbf, mtt, blood.delay_s[within])
    agent *= np.float32(TISSUE_RELAXIVITY)
    arteries, veins = vessels.arteries[within], vessels.veins[within]
    large = np.flatnonzero(arteries + veins > _SEEN)
    late = _regional(blood, grid)[within][large]
    pure = []
    for share, level, around, curves in (
        (arteries[large], _ARTERIAL, _AROUND_ARTERIES, _arterial(passage, late, times)),
        (veins[large], _VENOUS, _AROUND_VEINS, _venous(passage, late, times)),
    ):
        agent[large] += np.float32(around) * share[:, None] * curves
        pure.append(to_signal(curves, level * share, echo_s, _IN_BLOOD))
    rest = picture[within] * np.maximum(1 - arteries - veins, 0)
    signal = np.exp(np.float32(-echo_s) * agent)
    signal *= rest[:, None]
    signal[large] += pure[0] + pure[1]
    return within, signal, maps


def _regional(blood: Tissue, grid: Grid) -> Volume:
    """Return the delay (I, J, K) of the tissue around each voxel, weighted by its flow."""
    sigma = _REGION_MM / np.array(grid.voxel)
    weight = ndimage.gaussian_filter(blood.cbf, sigma, truncate=2.5)
    delay = ndimage.gaussian_filter(blood.cbf * blood.delay_s, sigma, truncate=2.5)
    return np.asarray(delay / np.maximum(weight, 1e-3), dtype=np.float32)


def _arterial(passage: Passage, late: NDArray[np.float32], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the concentration (n, t) in mM in arteries of tissue that is so `late` (n,)."""
    delays, where = _steps(_ON_THE_WAY * late)
    curves = [_later(passage.bolus, d, passage.dispersion * d)(times) for d in delays.tolist()]
    return np.array(curves)[where]


def _venous(passage: Passage, late: NDArray[np.float32], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the concentration (n, t) in mM in veins of tissue that is so `late` (n,): what has passed it."""
    delays, where = _steps(late)
    volume = 100 * BLOOD.factor  # ml/100 g at which the concentration is that of blood
    flow = 60 * volume / _CAPILLARIES_S
    curves = tissue_concentration(passage.bolus, times, cbf=flow, cbv=volume, delay_s=delays + _TO_VEINS_S)
    return curves[where]


def _later(bolus: Bolus, delay_s: float, dispersion_s: float) -> Bolus:
    """Return the bolus further on: later, and broader by the dispersion, with the same area."""
    width = float(np.sqrt(bolus.width_s**2 + dispersion_s**2 / (bolus.shape + 1)))
    return replace(
        bolus, arrival_s=bolus.arrival_s + delay_s, width_s=width, peak=bolus.peak * bolus.width_s / width
    )


def _steps(delay_s: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Return the different delays (m,), rounded, and which of them each of `delay_s` (n,) is."""
    steps, where = np.unique(np.rint(delay_s / _STEP_S), return_inverse=True)
    return _STEP_S * steps.astype(np.float64), where
