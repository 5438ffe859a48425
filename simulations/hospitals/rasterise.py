"""Tubes to voxels, at sub-voxel accuracy.

The share of a voxel that an artery fills is taken as the overlap of two discs seen along the artery: its
cross section, and a disc of the area of a voxel's face. So an artery of radius 0.3 voxels fills 0.28 of the
voxel it runs through the middle of, and one of 3 voxels fills its inner voxels whole.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from shared.imaging.scan import Volume
from simulations.hospitals.branching import STEP_MM, Branch
from simulations.hospitals.grid import Grid

_BLOCK = 1 << 21  # voxels looked at together; bounds memory


def coverage(branches: Iterable[Branch], grid: Grid) -> tuple[Volume, Volume]:
    """Return the share of each voxel (I, J, K) that branches fill, in [0, 1], and that share times flow."""
    branches = [_thinned(b) for b in branches]
    filled, bright = np.zeros(grid.shape, dtype=np.float32), np.zeros(grid.shape, dtype=np.float32)
    if not branches:
        return filled, bright
    points = np.concatenate([b.points for b in branches])
    radius = np.concatenate([b.radius for b in branches])
    flow = np.concatenate([np.full(len(b.points), b.flow) for b in branches])
    at = (points - grid.origin) / grid.voxel
    reach = np.floor((radius / grid.edge + np.sqrt(1 / np.pi)) * grid.edge / min(grid.voxel) + 0.5).astype(int)
    near = ((at > -reach[:, None] - 1) & (at < np.array(grid.shape) + reach[:, None])).all(axis=1)
    for size in np.unique(reach[near]):
        chosen = near & (reach == size)
        for where, share, row in _stamps(at[chosen], radius[chosen], int(size), grid):
            np.maximum.at(filled.reshape(-1), where, share)
            np.maximum.at(bright.reshape(-1), where, share * flow[chosen][row].astype(np.float32))
    return filled, bright


def _thinned(branch: Branch) -> Branch:
    """Return the branch with as few points as its radius allows: gaps of a third of it are not seen."""
    skip = max(1, int(branch.radius.min() / 3 / STEP_MM))
    return replace(branch, points=branch.points[::skip], radius=branch.radius[::skip])


def _stamps(
    at: NDArray[np.float64], radius: NDArray[np.float64], reach: int, grid: Grid
) -> Iterator[tuple[NDArray[np.int64], Volume, NDArray[np.int64]]]:
    """Yield flat voxel numbers, their share filled and the row of the point that fills them.

    Points lie at voxel coordinates `at` (n, 3) and look `reach` voxels far each way.
    """
    side = np.arange(-reach, reach + 1)
    offsets = np.stack(np.meshgrid(side, side, side, indexing="ij"), axis=-1).reshape(-1, 3)
    shape, edge = np.array(grid.shape), grid.edge
    block = max(1, _BLOCK // len(offsets))
    for first in range(0, len(at), block):
        here = at[first : first + block]
        voxels = np.rint(here).astype(np.int64)[:, None, :] + offsets
        gap = ((voxels - here[:, None, :]) * grid.voxel).astype(np.float32)
        distance = np.sqrt(np.einsum("nmc,nmc->nm", gap, gap)) / np.float32(edge)
        thick = (radius[first : first + block] / edge).astype(np.float32)
        touched = distance < thick[:, None] + np.sqrt(1 / np.pi)
        touched &= ((voxels >= 0) & (voxels < shape)).all(axis=2)
        row = np.nonzero(touched)[0]
        where = voxels[touched] @ np.array([shape[1] * shape[2], shape[2], 1])
        yield where, overlap(distance[touched], thick[row]).astype(np.float32), row + first


def overlap(distance: NDArray[np.floating], radius: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the share of a disc of area 1 covered by a disc of `radius` whose centre is `distance` away."""
    unit = np.sqrt(1 / np.pi)
    d = np.maximum(distance, 1e-6)
    small = np.minimum(radius, unit)
    a = np.clip((d**2 + radius**2 - unit**2) / (2 * d * radius), -1, 1)
    b = np.clip((d**2 + unit**2 - radius**2) / (2 * d * unit), -1, 1)
    kite = np.maximum((radius + unit - d) * (d + radius - unit) * (d - radius + unit) * (d + radius + unit), 0)
    lens = radius**2 * np.arccos(a) + unit**2 * np.arccos(b) - 0.5 * np.sqrt(kite)
    inside = d <= np.abs(radius - unit)
    return np.where(inside, np.pi * small**2, np.where(d >= radius + unit, 0.0, np.minimum(lens, 1.0)))
