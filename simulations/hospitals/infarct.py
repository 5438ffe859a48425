"""Infarcts on voxels: each grows from its place inside one territory, as far as its volume goes.

A voxel joins the sooner, the nearer it is; smooth noise makes outlines ragged. What does not fit in the
territory is not there: an infarct of a small territory is at most as large as that.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.imaging.scan import Volume
from simulations.hospitals.grid import Grid, smooth_noise
from simulations.hospitals.lesions import grow
from simulations.hospitals.shapes import Points, border
from simulations.hospitals.stroke import Focus
from simulations.hospitals.territories import CEREBRAL

_RAGGED = 0.35  # weight of the noise against the distance, as a share of the radius
_BORDER_MM = 7.0  # half width of the border zone between two arteries
_SPOT = 8  # voxels; a reader who draws narrowly leaves smaller infarcts whole
_READER_MM = 0.4  # standard deviation of how far out a reader draws


@dataclass(frozen=True)
class Supply:
    """A brain as its arteries see it, on voxels (I, J, K)."""

    points: Points
    territory: NDArray[np.int8]
    edge_mm: Volume  # distance to the next territory of the cerebrum

    def allowed(self, focus: Focus) -> NDArray[np.bool_]:
        """Return where an infarct may be; the border zone belongs to the arteries on both sides of it."""
        side = (self.points.x < 0) == (focus.place[0] < 0)
        if focus.border:
            zone = (self.edge_mm < _BORDER_MM) & (self.points.z > 15) & np.isin(self.territory, CEREBRAL)
        else:
            zone = self.territory == focus.territory
        return np.asarray(side & zone)


def infarcts(
    rng: np.random.Generator, grid: Grid, supply: Supply, foci: tuple[Focus, ...]
) -> tuple[Volume, NDArray[np.bool_]]:
    """Return the share (I, J, K) of each voxel that infarcts fill, and what a reader outlines."""
    share = np.zeros(grid.shape, dtype=np.float32)
    outline = np.zeros(grid.shape, dtype=bool)
    for focus in foci:
        noises = [smooth_noise(rng, grid, mm) for mm in (12.0, 5.0)]
        stretch, reader = np.exp(rng.normal(0, 0.25, size=3)), float(rng.normal(0, _READER_MM))
        allowed = supply.allowed(focus)
        if not allowed.any():  # a few large voxels may hold nothing of a small territory
            continue
        radius = (focus.ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
        cost = _distance(supply.points, _nearest(supply.points, allowed, focus), stretch)
        cost += np.float32(_RAGGED * radius) * (noises[0] + 0.5 * noises[1])
        grown = grow(cost, allowed, focus.ml * 1000 / float(np.prod(grid.voxel)))
        level = np.float32(cost[grown].max())
        np.maximum(share, border(level - cost, max(grid.edge, 2.5)) * allowed, out=share)
        outline |= allowed & (cost <= level + reader) if reader > 0 or grown.sum() > _SPOT else grown
    return share, outline


def _nearest(points: Points, allowed: NDArray[np.bool_], focus: Focus) -> NDArray[np.float32]:
    """Return the allowed point nearest to where the infarct should be, (3,) in mm."""
    places = np.stack([p[allowed] for p in (points.x, points.y, points.z)], axis=1)
    away = places - np.array(focus.place, dtype=np.float32)
    return np.asarray(places[(away**2).sum(axis=1).argmin()])


def _distance(points: Points, place: NDArray[np.float32], stretch: NDArray[np.float64]) -> Volume:
    """Return the distance (I, J, K) to a place in mm, each axis stretched."""
    x, y, z = (
        ((p - c) / np.float32(s)) ** 2
        for p, c, s in zip((points.x, points.y, points.z), place, stretch, strict=True)
    )
    return np.asarray(np.sqrt(x + y + z), dtype=np.float32)
