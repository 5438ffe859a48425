"""Patients with a stroke lesion: hand-drawn masks as a hospital would hold them, seeded and procedural.

A lesion grows inside an arterial territory (a wedge of one hemisphere) from a random origin, where distance
from the origin plus smooth noise is least; small satellites lie about it. Volumes follow published hand-drawn
chronic masks: log-normal, median about 76 ml, 5 to 376 ml, about half with more than one component. Sites
differ in case mix. No code is shared with the public simulator, on purpose: what pre-training knows must not
be what the hospital is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shared.imaging.scan import Role, Scan

HEAD_MM = (182.0, 218.0, 182.0)  # field of view
SHAPE = (91, 109, 91)  # 2 mm voxels
BRAIN_MM = (66.0, 82.0, 66.0)  # half axes of the brain, an ellipsoid
LIMITS_ML = (5.0, 376.0)
SATELLITE_ML = (0.01, 6.0)
SMOOTH_MM = 14.0  # distance over which the noise changes
Field = NDArray[np.float32]
Points = tuple[Field, Field, Field]


@dataclass(frozen=True)
class CaseMix:
    """What a hospital sees: typical size, its spread, satellites, and how ragged its readers draw."""

    median_ml: float
    log_spread: float
    satellites: float  # mean number a patient
    ragged: float  # weight of noise against distance


SITES = (
    CaseMix(median_ml=76.0, log_spread=0.9, satellites=0.4, ragged=0.35),
    CaseMix(median_ml=110.0, log_spread=0.7, satellites=0.15, ragged=0.25),
    CaseMix(median_ml=50.0, log_spread=1.0, satellites=0.9, ragged=0.45),
)


def lesion_patient(seed: int, site: int, shape: tuple[int, int, int] | None = None) -> Scan:
    """Return one patient's lesion mask, {LESION: (i, j, k) of 0 and 1}, with at least one lesion voxel.

    The field of view is 182 x 218 x 182 mm whatever the shape (default 91 x 109 x 91, 2 mm); axes are RAS and
    the lesion is in the left hemisphere, where most published masks are. Sites beyond the third repeat the
    first three's case mix.
    """
    rng = np.random.default_rng([seed, site, 0x1E510])
    mix, shape = SITES[site % len(SITES)], shape or SHAPE
    spacing = np.array(HEAD_MM) / shape
    points = _points(shape, spacing)
    wanted = float(np.clip(mix.median_ml * np.exp(rng.normal(0, mix.log_spread)), *LIMITS_ML))
    origin = rng.normal((-38, -5, 5), (10, 24, 16))
    territory = _territory(points, origin, wanted)
    cost = _distance(points, origin, rng) / (wanted * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
    cost += mix.ragged * _noise(shape, spacing, rng)
    mask = grow(cost, territory, wanted * 1000 / float(np.prod(spacing)))
    for _ in range(rng.poisson(mix.satellites)):
        small = np.exp(rng.uniform(*np.log(SATELLITE_ML)))
        centre = origin + rng.normal(0, (12, 32, 22))
        brain = _territory(points, centre, LIMITS_ML[1])
        mask |= grow(_distance(points, centre, rng), brain, small * 1000 / float(np.prod(spacing)))
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [float(axis.flat[0]) for axis in points]
    return Scan({Role.LESION: mask.astype(np.float32)}, affine)


def _points(shape: tuple[int, int, int], spacing: NDArray[np.float64]) -> Points:
    """Return voxel centres in mm from the head's centre, one broadcastable array an axis."""
    x, y, z = ((np.arange(n) + 0.5 - n / 2) * mm for n, mm in zip(shape, spacing, strict=True))
    axes = np.meshgrid(
        x.astype(np.float32), y.astype(np.float32), z.astype(np.float32), indexing="ij", sparse=True
    )
    return axes[0], axes[1], axes[2]


def _territory(points: Points, origin: NDArray[np.float64], wanted_ml: float) -> NDArray[np.bool_]:
    """Return the wedge of the left hemisphere about the origin, (i, j, k), wider for larger lesions."""
    x, y, _ = points
    brain = sum((axis / half) ** 2 for axis, half in zip(points, BRAIN_MM, strict=True)) < 1
    angle = np.arctan2(y, -x) - np.arctan2(origin[1], -min(origin[0], -10.0))
    return np.asarray(brain & (x < -2) & (np.abs(angle) < 0.5 + 2.5 * wanted_ml / LIMITS_ML[1]))


def _distance(points: Points, origin: NDArray[np.float64], rng: np.random.Generator) -> Field:
    """Return the distance (i, j, k) to the origin in mm, stretched at random, most along the second axis."""
    stretch = np.exp(rng.normal(0, 0.25, size=3)) * (0.65, 1.5, 1.0)
    squares = [((axis - c) / s) ** 2 for axis, c, s in zip(points, origin, stretch, strict=True)]
    return np.asarray(np.sqrt(squares[0] + squares[1] + squares[2]), dtype=np.float32)


def _noise(shape: tuple[int, int, int], spacing: NDArray[np.float64], rng: np.random.Generator) -> Field:
    """Return noise (i, j, k) of about unit size, smooth over `SMOOTH_MM`."""
    coarse = np.ceil(np.array(shape) * spacing / SMOOTH_MM).astype(int) + 1
    noise = rng.standard_normal(coarse, dtype=np.float32)
    fine = ndimage.zoom(noise, np.array(shape) / coarse, order=1, mode="nearest", grid_mode=True)
    return np.asarray(fine, dtype=np.float32)


def grow(cost: Field, allowed: NDArray[np.bool_], voxels: float) -> NDArray[np.bool_]:
    """Return the mask (i, j, k) of the allowed voxels of least cost, as many as asked for, at least one."""
    costs = cost[allowed]
    count = int(np.clip(round(voxels), 1, len(costs)))
    mask = np.zeros(cost.shape, dtype=bool)
    mask[allowed] = costs <= np.partition(costs, count - 1)[count - 1]
    return mask
