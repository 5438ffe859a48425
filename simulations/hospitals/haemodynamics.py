"""Flow, volume and delay of the blood in every voxel of one brain, healthy and not.

Normal grey matter has a flow of 40-60 ml/100 g/min and a volume of 4-5 ml/100 g, white matter 16-30 and 1.8-2.
Behind a closed artery blood comes late by collaterals: in the penumbra flow falls and vessels widen, in the core
both fail. Behind a narrow artery a whole territory is late and little else.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shared.imaging.anatomy import STRUCTURES, is_parenchyma
from shared.imaging.scan import Volume
from simulations.hospitals.cortex import Cortex
from simulations.hospitals.grid import Grid, smooth_noise
from simulations.hospitals.infarct import Supply, infarcts
from simulations.hospitals.stroke import LIMITS_ML, Focus, Stroke
from simulations.hospitals.territories import Territory

MTT_S = (2.0, 24.0)  # no tissue's transit is shorter or longer
MAX_DELAY_S = 10.0
_USUAL = {  # flow in ml/100 g/min, volume in ml/100 g, by name without side
    "cerebral white matter": (22.0, 1.9),
    "cerebral cortex": (56.0, 4.7),
    "corpus callosum": (20.0, 1.8),
    "thalamus": (54.0, 4.4),
    "caudate": (52.0, 4.3),
    "putamen": (52.0, 4.3),
    "pallidum": (36.0, 3.3),
    "hippocampus": (46.0, 4.4),
    "amygdala": (42.0, 4.1),
    "cerebellar cortex": (54.0, 4.9),
    "cerebellar white matter": (26.0, 2.2),
    "brain stem": (32.0, 2.8),
}
_ARRIVAL_S = {  # after the base of the brain
    Territory.NONE: 0.0,
    Territory.ANTERIOR: 0.6,
    Territory.MIDDLE: 0.4,
    Territory.POSTERIOR: 1.0,
    Territory.CEREBELLAR: 0.8,
    Territory.BASILAR: 0.5,
}
_WHITE_S = 0.5  # later in white matter, which is fed by long thin arteries
_BORDER_S, _BORDER_MM = 0.7, 8.0  # later between two territories
_SHARED_MM = 4.0  # over which territories share their blood
_SPREAD = (1.5, 20.0)  # volume of a penumbra with its core, relative to the core
_DEEP_MM = 14.0  # how far inside a penumbra blood comes latest


@dataclass(frozen=True)
class Blood:
    """Tissue's blood (I, J, K), of the whole voxel: fluid has none."""

    cbf: Volume  # ml/100 g/min
    cbv: Volume  # ml/100 g
    delay_s: Volume  # after the arteries at the base of the brain
    core: NDArray[np.bool_]  # what a reader outlines as infarct


@dataclass(frozen=True)
class Deficit:
    """What a closed and a narrow artery do in one patient."""

    spread: float  # volume of the penumbra with its core, relative to the core
    late_s: float  # largest delay of the penumbra
    flow: float  # share of the flow left where it is worst short of the core
    core: tuple[float, float]  # shares of flow and volume left in the core
    wide: float  # volume of the penumbra's widened vessels, relative to before
    narrow: tuple[int, float]  # side of a narrow carotid artery (0: none) and its delay in seconds


def deficit_of(seed: int, site: int, stenosis: bool, session: int) -> Deficit:
    """Return the deficit of the patient of this seed; in a later session half of it has recovered."""
    rng = np.random.default_rng([seed, site, 8])
    low, high = (5.5, 0.30, 0.06, 0.25, 1.0, 1.0), (9.5, 0.60, 0.22, 0.55, 1.35, 3.5)
    late, flow, core_flow, core_volume, wide, narrow = rng.uniform(low, high).tolist()
    spread = float(np.exp(rng.uniform(*np.log(_SPREAD))))
    side = (-1 if rng.random() < 0.5 else 1) if stenosis else 0
    again = 0.5**session
    return Deficit(spread, late * again, flow, (core_flow, core_volume), wide, (side, narrow * again))


def blood_of(
    rng: np.random.Generator,
    grid: Grid,
    labels: NDArray[np.int16],
    cortex: Cortex,
    supply: Supply,
    stroke: Stroke,
    deficit: Deficit,
    age: int,
) -> Blood:
    """Return one brain's blood; `labels` are its structures (I, J, K), and `rng` draws what is left open."""
    flow, volume = _usual(rng, labels, cortex, age)
    uneven = smooth_noise(rng, grid, 12.0)
    delay = _arrival(labels, supply) + 0.2 * uneven
    side, narrow_s = deficit.narrow
    behind = _behind(grid, supply, side)
    delay += narrow_s * behind * (1 + 0.15 * uneven)
    core, outline = infarcts(rng, grid, supply, stroke.foci)
    at_risk, deep = _penumbra(rng, grid, supply, stroke.foci, deficit, core)
    delay += deficit.late_s * at_risk * (0.35 + 0.65 * np.maximum(deep, core)) * (1 + 0.1 * uneven)
    flow_left = 1 - at_risk * (0.5 + 0.5 * deep) * (1 - deficit.flow)
    volume_left = 1 + at_risk * (deficit.wide - 1)
    flow *= (1 - 0.15 * behind) * (flow_left + core * (deficit.core[0] - flow_left))
    volume *= (1 + 0.12 * behind) * (volume_left + core * (deficit.core[1] - volume_left))
    mtt = np.clip(60 * volume / np.maximum(flow, 1e-3), *MTT_S).astype(np.float32)
    late = np.clip(delay, 0, MAX_DELAY_S).astype(np.float32)
    return Blood(flow, np.asarray(flow * mtt / 60, dtype=np.float32), late, outline)


def _usual(rng: np.random.Generator, labels: NDArray[np.int16], cortex: Cortex, age: int) -> tuple[Volume, Volume]:
    """Return the flow and volume of a healthy brain; both fall with age by 0.4 % a year from 40 on."""
    table = np.zeros((max(s.number for s in STRUCTURES) + 1, 2), dtype=np.float32)
    for structure in STRUCTURES:
        table[structure.number] = _USUAL.get(structure.name.removeprefix(f"{structure.side} "), (0, 0))
    less = 1 - 0.004 * max(age - 40, 0)
    flow_own, volume_own = (less * np.exp(rng.normal(0, (0.10, 0.06)))).tolist()
    mottled = 1 + 0.08 * cortex.texture
    flow = table[labels, 0] * flow_own * mottled * (1 + 0.05 * cortex.fine)
    volume = table[labels, 1] * volume_own * mottled
    return np.maximum(flow, 0), np.maximum(volume, 0)


def _arrival(labels: NDArray[np.int16], supply: Supply) -> Volume:
    """Return how much later than at the base of the brain healthy tissue is reached, in seconds."""
    delay = np.array([_ARRIVAL_S[t] for t in Territory], dtype=np.float32)[supply.territory]
    white = [s.number for s in STRUCTURES if s.name.endswith("cerebral white matter")]
    border = np.clip(1 - supply.edge_mm / _BORDER_MM, 0, 1) * (supply.points.z > 0)
    found = delay + _WHITE_S * np.isin(labels, white) + _BORDER_S * border
    return np.asarray(found * is_parenchyma(labels), dtype=np.float32)


def _behind(grid: Grid, supply: Supply, side: int) -> Volume:
    """Return the share (I, J, K) of each voxel's blood that comes by the carotid artery of a side; none for 0."""
    fed = np.isin(supply.territory, (Territory.MIDDLE, Territory.ANTERIOR)) & (side * supply.points.x > 0)
    share = ndimage.gaussian_filter(fed.astype(np.float32), _SHARED_MM / np.array(grid.voxel), truncate=2.0)
    return np.asarray(share, dtype=np.float32)


def _penumbra(
    rng: np.random.Generator, grid: Grid, supply: Supply, foci: tuple[Focus, ...], deficit: Deficit, core: Volume
) -> tuple[Volume, Volume]:
    """Return the share of each voxel that lacks blood, core included, and how deep inside it lies, from 0 to 1."""
    grown = tuple(replace(f, ml=min(deficit.spread * f.ml, LIMITS_ML[1])) for f in foci if not f.border)
    share, outline = infarcts(rng, grid, supply, grown)
    if not outline.any():
        return core, core
    inside = ndimage.distance_transform_edt(outline, sampling=grid.voxel)
    deep = np.clip(inside / _DEEP_MM, 0, 1).astype(np.float32)
    return np.maximum(share, core), deep
