"""Lesion masks on one fixed physical grid, so that every hospital's masks fit one network.

The grid is a cube of `GRID` cells a side, `GRID_MM` millimetres each (128 mm), centred on the lesion's
centre of mass. A cell holds its occupancy, the share of it that is lesion, so volume is kept whatever the
hospital's voxels. What lies outside the cube is cut off: on 99 chronic stroke masks (5-376 ml) 0.5 % of a
lesion on average, nothing for 62 of them, 9 % at worst; a wider cube would need coarser cells, and the
smallest of those lesions fills only 84 of these. Position in the head and side are not kept, and axes stay
voxel axes: putting a lesion into a brain is a later step.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shared.errors import CohortError, UsageError
from shared.imaging.scan import Volume

GRID = 32  # cells a side
GRID_MM = 4.0  # edge of a cell, millimetres


def to_grid(mask: NDArray[np.generic], spacing_mm: tuple[float, float, float]) -> Volume:
    """Return the occupancy (32, 32, 32), in [0, 1], of a lesion mask (i, j, k) with the given voxel edges.

    A voxel is lesion where it is above 0.5. The cube is centred on the voxel corner nearest the centre of
    mass, so voxels that divide the cell size (1, 2 or 4 mm) are averaged without interpolation. Volume is
    exact inside the cube: the sum of cells times `GRID_MM`³ is the number of lesion voxels times theirs.

    Raises:
        CohortError: the mask is not 3D, its spacing is not positive, or it holds no lesion.
    """
    if mask.ndim != 3 or min(spacing_mm) <= 0:
        raise CohortError(f"lesion mask of shape {mask.shape}, spacing {spacing_mm}: a 3D mask in mm is needed")
    lesion = np.asarray(mask, dtype=np.float32) > 0.5
    places = np.argwhere(lesion)
    if not len(places):
        raise CohortError("the lesion mask is empty; correct it or remove the session from the cohort")
    low, high = places.min(axis=0), places.max(axis=0) + 1
    centre = np.rint(places.mean(axis=0) + 0.5)
    grid = lesion[tuple(slice(a, b) for a, b in zip(low, high, strict=True))].astype(np.float64)
    for axis in range(3):
        edges = (np.arange(low[axis], high[axis] + 1) - centre[axis]) * spacing_mm[axis]
        grid = np.moveaxis(np.tensordot(_overlap(edges), grid, axes=(1, axis)), 0, axis)
    return np.asarray(np.clip(grid, 0.0, 1.0), dtype=np.float32)


def from_grid(
    occupancy: Volume, threshold: float = 0.5, spacing_mm: float = GRID_MM
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return the mask (n, n, n) where occupancy (32, 32, 32) exceeds a threshold, and its affine (4, 4).

    The origin of the affine, in mm, is the cube's centre. A spacing finer than `GRID_MM` interpolates
    occupancy linearly before the threshold, which gives a smooth surface; n is 128 mm over the spacing.

    Raises:
        UsageError: occupancy has another shape, or the spacing does not divide the cube.
    """
    size = GRID * GRID_MM / spacing_mm
    if occupancy.shape != (GRID,) * 3 or size != round(size):
        msg = f"occupancy {occupancy.shape} at {spacing_mm} mm: need {GRID}³ cells and a divisor of 128 mm"
        raise UsageError(msg)
    fine = occupancy
    if spacing_mm != GRID_MM:
        fine = ndimage.zoom(occupancy, GRID_MM / spacing_mm, order=1, mode="nearest", grid_mode=True)
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = spacing_mm / 2 - GRID * GRID_MM / 2
    return np.asarray(fine > threshold), affine


def volume_ml(occupancy: NDArray[np.generic]) -> float:
    """Return the lesion volume of an occupancy (32, 32, 32) in millilitres."""
    return float(occupancy.sum(dtype=np.float64)) * GRID_MM**3 / 1000


def _overlap(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of each cell that each of n voxels covers, (32, n), from n + 1 voxel edges in mm."""
    cells = (np.arange(GRID + 1) - GRID / 2) * GRID_MM
    low = np.maximum(cells[:-1, None], edges[None, :-1])
    high = np.minimum(cells[1:, None], edges[None, 1:])
    return np.asarray(np.maximum(high - low, 0.0) / GRID_MM)
