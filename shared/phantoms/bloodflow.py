"""Blood in every voxel of an anatomical map, by random levels of its structures, and a territory that lacks it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shared.imaging.anatomy import STRUCTURES, Tissue, indices, is_parenchyma
from shared.imaging.scan import Volume
from shared.imaging.territories import Artery, halves, territories
from shared.phantoms.fields import Field, smooth_field

RANGES: dict[str, tuple[float, float]] = {
    "white flow": (8.0, 40.0),  # ml/100 g/min
    "grey flow": (1.3, 4.0),  # relative to white matter
    "white transit": (3.0, 8.0),  # mean transit time, s
    "grey transit": (0.7, 1.4),  # relative to white matter
    "variety": (0.01, 0.2),  # standard deviation of each structure's own level, relative
    "unevenness": (0.02, 0.25),  # within structures, relative
    "lateness": (0.1, 2.0),  # healthy tissue's delay after the artery, s
    "deficit": (2.0, 11.0),  # further delay where blood is lacking most, s
    "flow left": (0.05, 0.8),  # there, relative to before
    "volume left": (0.3, 1.6),  # there, relative to before
}

MTT_S = (1.5, 25.0)
_NO_DEFICIT = 0.25  # share of patients
_SHARES = {Artery.ANTERIOR: 0.15, Artery.MIDDLE: 0.55, Artery.POSTERIOR: 0.15, Artery.VERTEBROBASILAR: 0.15}
_BLUR_MM = 5.0  # of a deficit's edge


@dataclass(frozen=True)
class Blood:
    """Blood in tissue (i, j, k); flow is 0 elsewhere."""

    cbf: Volume  # ml/100 g/min
    mtt: Volume  # s
    delay_s: Volume  # after the artery


def draw_blood(
    p: Mapping[str, float], labels: NDArray[np.generic], affine: NDArray[np.float64], rng: np.random.Generator
) -> Blood:
    """Return blood in the structures of any map.

    Args:
        p: the parameters of `RANGES` by name; others are ignored.
        labels: FreeSurfer numbers (i, j, k).
        affine: (4, 4), to RAS millimetres.
        rng: draws everything else.

    Raises:
        CohortError: the map holds an unknown label, or no cerebrum.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    structure = indices(labels, np.zeros(labels.shape))

    def uneven() -> Field:
        i, j, k = np.maximum(rng.uniform(6, 40) / spacing, 1.0).tolist()
        return smooth_field((labels.shape[0], labels.shape[1], labels.shape[2]), (i, j, k), rng)

    flow = p["white flow"] * _levels(p["grey flow"], p["variety"], rng)[structure]
    flow *= np.exp(p["unevenness"] * uneven())
    transit = p["white transit"] * _levels(p["grey transit"], p["variety"], rng)[structure]
    transit *= np.exp(0.5 * p["unevenness"] * uneven())
    delay = p["lateness"] * np.exp(0.4 * uneven())
    lack = _deficit(labels, affine, uneven(), rng)
    flow *= 1 + lack * (p["flow left"] - 1)
    transit *= (1 + lack * (p["volume left"] - 1)) / (1 + lack * (p["flow left"] - 1))
    delay += p["deficit"] * lack
    return Blood(flow * is_parenchyma(labels), np.clip(transit, *MTT_S), delay)


def _levels(grey: float, variety: float, rng: np.random.Generator) -> Field:
    """Return the level of every structure, in the order of `STRUCTURES`, white matter's being about 1."""
    mean = {Tissue.CORTEX: grey, Tissue.NUCLEUS: grey, Tissue.STEM: (1 + grey) / 2}
    own = np.exp(variety * rng.standard_normal(len(STRUCTURES)))
    return np.array([mean.get(s.tissue, 1.0) for s in STRUCTURES], np.float32) * own.astype(np.float32)


def _deficit(
    labels: NDArray[np.generic], affine: NDArray[np.float64], uneven: Field, rng: np.random.Generator
) -> Field:
    """Return how much (i, j, k) blood is lacking, 0 to 1: in some part of one artery's territory, or nowhere."""
    reach = rng.uniform(-0.5, 2)
    if rng.random() < _NO_DEFICIT:
        return np.zeros(labels.shape, np.float32)
    artery, side = rng.choice(list(_SHARES), p=list(_SHARES.values())), rng.choice((-1, 1))
    fed = (territories(labels, affine) == artery) & (halves(labels, affine) == side)
    lack = np.clip(uneven + reach, 0, 1) * fed
    sigma = _BLUR_MM / np.linalg.norm(affine[:3, :3], axis=0)
    return np.asarray(ndimage.gaussian_filter(lack, sigma, truncate=2.0), np.float32)
