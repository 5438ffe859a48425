"""From a DWI's voxels to the standard head: size, tilt and bends of one patient, and the echo-planar distortion.

The standard head's millimetres are about those of the MNI template (origin at the anterior commissure, x right,
y forwards, z up). Echo-planar images are moved along j, their phase-encoding axis, where air and bone bend the
field, and signal piles up where they are squeezed (Jezzard and Balaban, 1995). The distortion is part of the
map from voxels to the head, so labels are drawn on the distorted image, as a hospital's readers would.
"""

from dataclasses import dataclass

import numpy as np

from shared.imaging.scan import Volume
from simulations.hospitals.grid import FieldOfView, Grid, smooth_noise

DIFFUSION = FieldOfView((210.0, 210.0, 144.0), (0.0, -15.0, 7.0), float("inf"))
SIZE = 0.93  # of the template, whose head is larger than most
BEND_MM = 2.0  # deviation of the smooth deformation
BEND_SCALE_MM = 30.0
_Source = tuple[tuple[float, float, float], float, float]  # place, reach in mm, weight
_SOURCES: tuple[_Source, ...] = (
    ((0.0, 52.0, -22.0), 11.0, 1.0),  # frontal and sphenoid sinuses
    ((46.0, -20.0, -36.0), 7.0, 0.75),  # petrous bones
    ((-46.0, -20.0, -36.0), 7.0, 0.75),
)


@dataclass(frozen=True)
class Head:
    """Where in the standard head each voxel (I, J, K) shows, in millimetres."""

    x: Volume
    y: Volume
    z: Volume
    pile: Volume  # brightness relative to an undistorted image


def bent_head(anatomy: np.random.Generator, visit: np.random.Generator, grid: Grid, shift_mm: float) -> Head:
    """Return the head of one patient as it lies in the scanner; `shift_mm` is the largest distortion."""
    size = SIZE * float(np.exp(anatomy.normal(0, 0.03))) * np.exp(anatomy.normal(0, 0.025, size=3))
    along, pile = _distortion(grid, shift_mm)
    x, y, z = _tilted(visit, grid.x, grid.y + along, grid.z)
    bends = [BEND_MM * smooth_noise(anatomy, grid, BEND_SCALE_MM) for _ in range(3)]
    x, y, z = (p / np.float32(s) + b for p, s, b in zip((x, y, z), size, bends, strict=True))
    return Head(x, y, z, pile)


def _tilted(rng: np.random.Generator, x: Volume, y: Volume, z: Volume) -> tuple[Volume, Volume, Volume]:
    """Return points turned a little: nodding, leaning, shaking."""
    nod, lean, shake = np.deg2rad(rng.normal(0, (5.0, 2.0, 2.5))).astype(np.float32)
    y, z = np.cos(nod) * y - np.sin(nod) * z, np.sin(nod) * y + np.cos(nod) * z
    x, z = np.cos(lean) * x - np.sin(lean) * z, np.sin(lean) * x + np.cos(lean) * z
    x, y = np.cos(shake) * x - np.sin(shake) * y, np.sin(shake) * x + np.cos(shake) * y
    return x, y, z


def _distortion(grid: Grid, shift_mm: float) -> tuple[Volume, Volume]:
    """Return how far (I, J, K) from a voxel, in mm along j, its signal comes, and how much of it there is."""
    shift = np.zeros(grid.shape, dtype=np.float32)
    pile = np.ones(grid.shape, dtype=np.float32)
    for place, reach, weight in _SOURCES:
        x, y, z = ((p - SIZE * c) / reach for p, c in zip((grid.x, grid.y, grid.z), place, strict=True))
        near = shift_mm * weight * np.exp(-0.5 * x**2) * np.exp(-0.5 * y**2) * np.exp(-0.5 * z**2)
        shift += near
        pile -= near * y / reach
    return shift, np.clip(pile, 0.3, 2.5)
