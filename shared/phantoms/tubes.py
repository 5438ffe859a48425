"""Branching tubes: paths that wander, thin out and branch, drawn into a slab with partial volume.

Axes are (k, i, j) here, slices first, and lengths are in-plane voxels; one slice is `thickness` of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
STEP = 1.0  # in-plane voxels between points of a path
THINNEST = 0.45  # radius in voxels at which a vessel is lost to any scanner


@dataclass(frozen=True)
class Tubes:
    """Points along paths: `points` (tubes, steps, 3) as (k, i, j), `radii` (tubes, steps), in voxels."""

    points: Floats
    radii: Floats

    def join(self, other: "Tubes") -> "Tubes":
        """Return both sets as one; the number of steps must agree."""
        return Tubes(np.concatenate([self.points, other.points]), np.concatenate([self.radii, other.radii]))


@dataclass(frozen=True)
class Habit:
    """How a vessel tree grows; lengths in voxels."""

    calibre: float  # median radius of a trunk
    taper: float  # relative loss of radius over 50 voxels
    branching: float  # mean number of branches of a trunk
    tortuosity: float  # change of direction, radians a voxel
    steps: int = 90


def grow(trunks: int, box: Floats, habit: Habit, rng: np.random.Generator) -> Tubes:
    """Return `trunks` paths that start in the box (3,) of voxels at the origin, with their branches."""
    start = rng.random((trunks, 3), dtype=np.float32) * box
    heading = _unit(rng.standard_normal((trunks, 3), dtype=np.float32))
    radius = habit.calibre * np.exp(0.35 * rng.standard_normal(trunks, dtype=np.float32))
    tree = level = _walk(start, heading, radius, habit, rng)
    for share in (0.7, 0.3):
        children = int(rng.poisson(habit.branching * trunks * share))
        if not children or not len(level.radii):
            break
        level = _branch(level, children, habit, rng)
        tree = tree.join(level)
    return tree


def _walk(start: Floats, heading: Floats, radius: Floats, habit: Habit, rng: np.random.Generator) -> Tubes:
    turns = rng.standard_normal((len(start), habit.steps, 3), dtype=np.float32) * habit.tortuosity
    direction = _unit(heading[:, None, :] + np.cumsum(turns, axis=1))
    points = start[:, None, :] + np.cumsum(direction, axis=1) * STEP
    decay = np.exp(-habit.taper * np.arange(habit.steps, dtype=np.float32) / 50.0)
    return Tubes(points.astype(np.float32), (radius[:, None] * decay).astype(np.float32))


def _branch(parents: Tubes, children: int, habit: Habit, rng: np.random.Generator) -> Tubes:
    tube = rng.integers(len(parents.radii), size=children)
    step = rng.integers(1, habit.steps, size=children)
    start = parents.points[tube, step]
    along = start - parents.points[tube, step - 1]
    heading = _unit(along + 1.1 * _unit(rng.standard_normal((children, 3), dtype=np.float32)))
    radius = parents.radii[tube, step] * rng.uniform(0.45, 0.85, children).astype(np.float32)
    return _walk(start, heading, radius, habit, rng)


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
    return unit


def draw(
    points: Floats, radii: Floats, levels: Floats, shape: tuple[int, int, int], thickness: float
) -> tuple[Floats, Floats]:
    """Return coverage and coverage times level, both (k, i, j): balls of `radii` (n,) at `points` (n, 3).

    Coverage is the antialiased share of a voxel inside a ball, 0 to 1; where balls overlap the larger counts.
    """
    cover = np.zeros(shape, np.float32)
    light = np.zeros(shape, np.float32)
    points = (points / np.array([thickness, 1, 1])).astype(np.float32)
    reach = np.ceil(radii + 0.5).astype(int)
    for span in np.unique(reach):
        chosen = reach == span
        _stamp(cover, light, points[chosen], radii[chosen], levels[chosen], int(span), thickness)
    return cover, light


def _stamp(
    cover: Floats, light: Floats, points: Floats, radii: Floats, levels: Floats, span: int, thickness: float
) -> None:
    deep = int(np.ceil(span / thickness))
    offsets = np.mgrid[-deep : deep + 1, -span : span + 1, -span : span + 1].reshape(3, -1).T
    nearest = np.rint(points).astype(int)
    inside = np.all((nearest > -span) & (nearest < np.array(cover.shape) + span), axis=1)
    points, radii, levels, nearest = points[inside], radii[inside], levels[inside], nearest[inside]
    voxels = nearest[:, None, :] + offsets[None]
    gap = (voxels - points[:, None, :]) * np.array([thickness, 1, 1], np.float32)
    share = np.clip(radii[:, None] + 0.5 - np.sqrt((gap**2).sum(-1)), 0, 1).astype(np.float32)
    seen = (share > 0) & np.all((voxels >= 0) & (voxels < cover.shape), axis=2)
    flat = np.ravel_multi_index(tuple(voxels[seen].T), cover.shape)
    np.maximum.at(cover.reshape(-1), flat, share[seen])
    np.maximum.at(light.reshape(-1), flat, (share * levels[:, None])[seen])
