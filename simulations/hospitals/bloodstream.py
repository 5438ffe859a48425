"""Arteries and veins of a DSC phantom as shares of voxels: each is a cloud of points, each a drop of its blood.

A drop lands in the voxel where the bent head shows its place, so shares are right for voxels of any shape, and
their sum is the volume of the vessels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from shared.imaging.scan import Volume
from simulations.hospitals.arteries import arteries
from simulations.hospitals.bending import SIZE, Head
from simulations.hospitals.branching import Branch, line, wind
from simulations.hospitals.grid import Grid

_DROPS = 16  # a point of a centreline
_TURNS = 5  # of the search for where a place is shown; bends are gentle
# From the head of the angiograms (origin in the circle of Willis) to that of DIFFUSION (anterior commissure).
_MIDDLE, _STRETCH, _CENTRE = (0.0, -10.0, 22.0), (1.087, 1.127, 1.23), (0.0, -17.0, 8.0)
_MIDLINE = (
    ((0, 70, 12), (0, 58, 48), (0, 10, 76), (0, -50, 72), (0, -95, 28), (0, -104, 2)),  # superior sagittal sinus
    ((0, -40, 10), (0, -62, 14), (0, -88, 8), (0, -104, 2)),  # straight sinus
)
_PAIRED = (
    ((0, -104, 2), (26, -97, -14), (52, -68, -24), (56, -48, -30), (44, -36, -50)),  # transverse sinus
    ((3, 4, 16), (3, -18, 15), (0, -40, 10)),  # internal cerebral vein
)
_RADII = ((1.8, 4.0), (1.6, 2.6), (3.2, 4.0), (1.0, 1.3))  # at both ends, mm, in the order of the above


@dataclass(frozen=True)
class Vessels:
    """Blood outside the tissue (I, J, K)."""

    arteries: Volume  # share of the voxel
    veins: Volume


def vessels_of(rng: np.random.Generator, head: Head, grid: Grid, age: float) -> Vessels:
    """Return the large vessels of one head."""
    tree = [replace(b, points=(b.points - _MIDDLE) * _STRETCH + _CENTRE) for b in arteries(rng, age)]
    return Vessels(_shares(rng, tree, head, grid), _shares(rng, _veins(rng), head, grid))


def _veins(rng: np.random.Generator) -> list[Branch]:
    """Return sinuses, deep veins, and veins over the convexity that run up to the sagittal sinus."""
    found = [line("vein", np.array(via, float), radii) for via, radii in zip(_MIDLINE, _RADII[:2], strict=True)]
    for m in (-1, 1):
        calibre = rng.uniform(0.6, 1.1)  # one transverse sinus is often small
        for via, (start, end) in zip(_PAIRED, _RADII[2:], strict=True):
            found.append(line("vein", np.array(via) * (m, 1, 1), (calibre * start, calibre * end)))
    for m in rng.choice((-1.0, 1.0), size=int(rng.integers(14, 24))):
        found.append(_cortical(rng, m))
    return found


def _cortical(rng: np.random.Generator, m: float) -> Branch:
    y, low = rng.uniform(-85, 55), rng.uniform(0.1, 0.6)
    turn = np.linspace(low, 0.5, 7) * np.pi
    reach = np.sqrt(max(1 - ((y + 17) / 89) ** 2, 0.1))
    x, z = m * 69 * reach * np.cos(turn), 8 + 67 * reach * np.sin(turn)
    calibre = float(rng.uniform(0.7, 1.3))
    via = np.stack([x, y + 8 * (turn - turn[0]), z], axis=1)
    return wind(rng, line("vein", via, (calibre, 1.3 * calibre)), 0.08)


def _shares(rng: np.random.Generator, branches: Sequence[Branch], head: Head, grid: Grid) -> Volume:
    """Return the share of each voxel that branches fill, in [0, 1]."""
    places = np.concatenate([b.points for b in branches])
    radius = np.concatenate([b.radius for b in branches])
    step = np.concatenate([np.full(len(b.points), _length(b) / len(b.points)) for b in branches])
    ball = rng.standard_normal((len(places), _DROPS, 3))  # points of a ball of the vessel's radius
    ball *= rng.random((len(places), _DROPS, 1)) ** (1 / 3) / np.linalg.norm(ball, axis=2, keepdims=True)
    drops = _shown(places, head, grid)[:, None] + radius[:, None, None] * ball * SIZE / grid.voxel
    ml = np.repeat(np.pi * radius**2 * step / _DROPS, _DROPS) * SIZE**3
    at = np.rint(drops.reshape(-1, 3)).astype(np.int64)
    seen = ((at >= 0) & (at < grid.shape)).all(axis=1)
    flat = np.ravel_multi_index(tuple(at[seen].T), grid.shape)
    filled = np.bincount(flat, ml[seen] / np.prod(grid.voxel), minlength=int(np.prod(grid.shape)))
    return np.minimum(filled, 1.0).reshape(grid.shape).astype(np.float32)


def _shown(places: NDArray[np.float64], head: Head, grid: Grid) -> NDArray[np.float64]:
    """Return the voxel coordinates (n, 3) at which places of the standard head, (n, 3) in mm, are seen."""
    at = (places * SIZE - grid.origin) / grid.voxel
    for _ in range(_TURNS):
        here = [map_coordinates(axis, at.T, order=1, mode="nearest") for axis in (head.x, head.y, head.z)]
        at += (places - np.stack(here, axis=1)) * SIZE / grid.voxel
    return np.asarray(at)


def _length(branch: Branch) -> float:
    return float(np.linalg.norm(np.diff(branch.points, axis=0), axis=1).sum())
