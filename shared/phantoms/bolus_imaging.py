"""Perfusion series drawn from anatomical maps and concentrations by random contrasts, vessels and scanners.

Vessels are threads: where two smooth random fields are both about zero. What a vessel adds to a voxel is in
proportion to its share of it, and the first frame is too bright, as before the steady state.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shared.imaging.anatomy import STRUCTURES, Tissue, indices, is_parenchyma
from shared.imaging.scan import Volume
from shared.phantoms.bolus import TISSUE_RELAXIVITY, Bolus
from shared.phantoms.fields import Field, smooth_field

RANGES: dict[str, tuple[float, float]] = {
    "frames": (40.0, 110.0),  # rounded
    "repetition": (0.9, 2.5),  # between frames, s
    "echo": (0.02, 0.05),  # s
    "gain": (100.0, 3000.0),  # scanner units in one unit of white matter
    "snr": (15.0, 120.0),  # white matter over the noise of one channel
    "grey": (0.9, 1.4),  # brightness before the bolus, relative to white matter
    "fluid": (0.9, 2.2),
    "contrast": (0.01, 0.15),  # standard deviation of each structure's own brightness, relative
    "scalp": (0.02, 0.5),  # brightness of what lies outside
    "shading": (0.02, 0.35),  # amplitude of the coil's shading
    "first frame": (1.02, 1.6),  # brightness of the first frame, relative to the others
    "blur": (0.3, 1.0),  # point spread in plane, standard deviation in voxels
    "arteries": (0.03, 0.3),  # half width of arteries, in units of the fields'
    "veins": (0.05, 0.4),
    "vessel effect": (4.0, 40.0),  # relaxivity of blood in vessels, 1/s/mM
    "venous delay": (2.0, 8.0),  # from arteries to veins, s
}

_BEND_MM = 30.0  # over which vessels wind
_RIM_MM = 8.0  # from the brain to the outside of the scalp


def draw_series(
    p: Mapping[str, float],
    labels: NDArray[np.generic],
    affine: NDArray[np.float64],
    agent: NDArray[np.float32],
    bolus: Bolus,
    times: NDArray[np.float64],
    rng: np.random.Generator,
) -> Volume:
    """Return a series (i, j, k, t) in scanner units.

    Args:
        p: the parameters of `RANGES` by name; others are ignored.
        labels: FreeSurfer numbers (i, j, k).
        affine: (4, 4), to RAS millimetres.
        agent: concentration (n, t) in mM in the map's parenchyma, in array order.
        bolus: what comes down the arteries.
        times: of the frames (t,), s.
        rng: draws everything else.

    Raises:
        CohortError: the map holds an unknown label.
    """
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    late = bolus(times - p["venous delay"])
    veins = np.minimum(_threads(labels, p["veins"], spacing, rng), 0.8)
    arteries = np.minimum(_threads(labels, p["arteries"], spacing, rng), 1 - veins)
    rate = p["vessel effect"] * (arteries[..., None] * bolus(times).astype(np.float32))
    rate += p["vessel effect"] * (veins[..., None] * late.astype(np.float32))
    tissue = is_parenchyma(labels)
    rate[tissue] += TISSUE_RELAXIVITY * agent
    series: Volume = np.exp(-p["echo"] * rate)
    series *= _picture(p, labels, spacing, rng)[..., None]
    series[..., 0] *= p["first frame"]
    ndimage.gaussian_filter(series, (p["blur"], p["blur"], 0, 0), output=series, truncate=3.0)
    series *= np.exp(p["shading"] * _field(labels, 70.0, spacing, rng))[..., None]
    series += rng.standard_normal(series.shape, np.float32) / np.float32(p["snr"])
    other = rng.standard_normal(series.shape, np.float32) / np.float32(p["snr"])
    np.hypot(series, other, out=series)
    series *= np.float32(p["gain"])
    return series


def _field(
    labels: NDArray[np.generic], mm: float, spacing: NDArray[np.float64], rng: np.random.Generator
) -> Field:
    """Return noise of the map's shape and about unit variance that varies over `mm` millimetres."""
    i, j, k = np.maximum(mm / spacing, 1.0).tolist()
    return smooth_field((labels.shape[0], labels.shape[1], labels.shape[2]), (i, j, k), rng)


def _threads(
    labels: NDArray[np.generic], width: float, spacing: NDArray[np.float64], rng: np.random.Generator
) -> Field:
    """Return the share (i, j, k) of each voxel of the head that winding vessels fill."""
    square = _field(labels, _BEND_MM, spacing, rng) ** 2 + _field(labels, _BEND_MM, spacing, rng) ** 2
    return np.asarray(np.exp(-square / (2 * width**2)) * (labels != 0), np.float32)


def _picture(
    p: Mapping[str, float], labels: NDArray[np.generic], spacing: NDArray[np.float64], rng: np.random.Generator
) -> Field:
    """Return the brightness (i, j, k) before the bolus; white matter is about 1."""
    mean = {
        Tissue.BACKGROUND: 0.0,
        Tissue.CORTEX: p["grey"],
        Tissue.NUCLEUS: (1 + p["grey"]) / 2,
        Tissue.FLUID: p["fluid"],
    }
    own = np.exp(p["contrast"] * rng.standard_normal(len(STRUCTURES))).astype(np.float32)
    levels = np.array([mean.get(s.tissue, 1.0) for s in STRUCTURES], np.float32) * own
    picture = levels[indices(labels, np.zeros(labels.shape))]
    head = np.asarray(labels != 0, np.float32)
    around = ndimage.gaussian_filter(head, _RIM_MM / spacing, truncate=2.0) * (labels == 0)
    return np.asarray(picture + p["scalp"] * around, np.float32)
