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
    branching: float  # mean number of branches of a trunk
    tortuosity: float  # change of direction, radians a voxel
    taper: float = 0.4  # relative loss of radius over 50 voxels
    steps: int = 90  # points of a path


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
    radius = parents.radii[tube, step] * rng.uniform(0.35, 0.85, children).astype(np.float32)
    return _walk(start, heading, radius, habit, rng)


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
    return unit


@dataclass(frozen=True)
class Drawing:
    """Tubes in a slab, each (k, i, j)."""

    cover: Floats  # share of a voxel inside a tube, 0 to 1
    light: Floats  # that share times the brightness there
    label: NDArray[np.bool_]  # the tubes as an annotator outlines them


@dataclass(frozen=True)
class Pen:
    """How tubes are drawn."""

    thickness: float  # of a slice, in-plane voxels
    profile: float  # loss of brightness from the axis to the wall, 0 = flat
    margin: float  # radius of the outline over the true radius


def draw(points: Floats, radii: Floats, levels: Floats, shape: tuple[int, int, int], pen: Pen) -> Drawing:
    """Return balls of `radii` (n,) and brightness `levels` (n,) at `points` (n, 3), with partial volume.

    Where balls overlap the larger share and the brighter light count.
    """
    cover, light, outline = (np.zeros(shape, np.float32) for _ in range(3))
    points = (points / np.array([pen.thickness, 1, 1])).astype(np.float32)
    reach = np.ceil(radii * max(pen.margin, 1.0) + 0.5).astype(int)
    for span in np.unique(reach):
        chosen = reach == span
        gap, flat = _neighbourhood(points[chosen], int(span), shape, pen.thickness)
        radius, level = radii[chosen][flat[0]], levels[chosen][flat[0]]
        share = np.clip(radius + 0.5 - gap, 0, 1)
        glow = share * level * (1 - pen.profile * np.minimum(gap / radius, 1) ** 2)
        np.maximum.at(cover.reshape(-1), flat[1], share)
        np.maximum.at(light.reshape(-1), flat[1], glow)
        np.maximum.at(outline.reshape(-1), flat[1], radius * pen.margin - gap)
    return Drawing(cover, light, outline > 0)


def _neighbourhood(
    points: Floats, span: int, shape: tuple[int, int, int], thickness: float
) -> tuple[Floats, NDArray[np.intp]]:
    """Return distances (m,) and (2, m) of ball number and flat voxel, for voxels within `span` of a point."""
    deep = int(np.ceil(span / thickness))
    offsets = np.mgrid[-deep : deep + 1, -span : span + 1, -span : span + 1].reshape(3, -1).T
    voxels = np.rint(points).astype(int)[:, None, :] + offsets[None]
    gap = np.sqrt((((voxels - points[:, None, :]) * np.array([thickness, 1, 1], np.float32)) ** 2).sum(-1))
    seen = (gap <= span) & np.all((voxels >= 0) & (voxels < shape), axis=2)
    ball = np.nonzero(seen)[0]
    return gap[seen].astype(np.float32), np.stack([ball, np.ravel_multi_index(tuple(voxels[seen].T), shape)])
