"""Branching tubes: paths that wander, thin out and branch, drawn into a slab with partial volume.

Axes are (k, i, j) here, slices first, and lengths are in-plane voxels; one slice is `thickness` of them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
STEP = 1.0  # in-plane voxels between points of a path
THINNEST = 0.25  # radius in voxels at which a vessel is lost to any scanner


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


def grow(start: Floats, habit: Habit, rng: np.random.Generator) -> Tubes:
    """Return paths from points `start` (trunks, 3), in voxels, in any direction, with their branches."""
    trunks = len(start)
    heading = _unit(rng.standard_normal((trunks, 3), dtype=np.float32))
    radius = habit.calibre * np.exp(0.35 * rng.standard_normal(trunks, dtype=np.float32))
    tree = level = _walk(start, heading, radius, habit, rng)
    for share in (0.5, 0.3, 0.2):
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
    outlined: float = 0.0  # radius in voxels below which a tube is drawn but not outlined


def draw(points: Floats, radii: Floats, levels: Floats, shape: tuple[int, int, int], pen: Pen) -> Drawing:
    """Return balls of `radii` (n,) and brightness `levels` (n,) at `points` (n, 3), with partial volume.

    Where balls overlap the larger share and the brighter light count.
    """
    cover, light, outline = (np.zeros(shape, np.float32) for _ in range(3))
    points = (points / np.array([pen.thickness, 1, 1])).astype(np.float32)
    reach = np.ceil(radii * max(pen.margin, 1.0) + 0.5)
    near = np.all((points > -reach[:, None]) & (points < np.array(shape) + reach[:, None]), axis=1)
    points, radii, levels, reach = points[near], radii[near], levels[near], reach[near]
    for span in np.unique(reach):
        chosen = reach == span
        ball, voxel, gap = _neighbourhood(points[chosen], int(span), shape, pen.thickness)
        radius, level = radii[chosen][ball], levels[chosen][ball]
        share = np.clip(radius + 0.5 - gap, 0, 1)
        glow = share * level * (1 - pen.profile * np.minimum(gap / radius, 1) ** 2)
        np.maximum.at(cover.reshape(-1), voxel, share)
        np.maximum.at(light.reshape(-1), voxel, glow)
        np.maximum.at(outline.reshape(-1), voxel, np.where(radius < pen.outlined, 0, radius * pen.margin - gap))
    return Drawing(cover, light, outline > 0)


def _neighbourhood(
    points: Floats, span: int, shape: tuple[int, int, int], thickness: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Return, for each voxel within `span` of a point: number of the point, flat voxel, distance."""
    reaches = (int(np.ceil(span / thickness)), span, span)
    square = np.zeros((len(points), 1, 1, 1), np.float32)
    flat = np.zeros((len(points), 1, 1, 1), np.intp)
    for axis, (reach, edge, unit) in enumerate(zip(reaches, shape, (thickness, 1, 1), strict=True)):
        along = [1, 1, 1, 1]
        along[axis + 1] = -1
        voxels = np.rint(points[:, axis, None]).astype(np.intp) + np.arange(-reach, reach + 1)
        gap = ((voxels - points[:, axis, None]) * unit).astype(np.float32)
        gap[(voxels < 0) | (voxels >= edge)] = np.inf
        square = square + (gap**2).reshape(len(points), *along[1:])
        flat = flat * edge + voxels.reshape(len(points), *along[1:])
    seen = np.flatnonzero(square <= span**2)
    size = square.size // max(len(points), 1)
    return seen // max(size, 1), flat.reshape(-1)[seen], np.sqrt(square.reshape(-1)[seen])
