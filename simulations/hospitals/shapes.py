"""Ellipsoids and how they are painted."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.imaging.scan import Volume


class Points(Protocol):
    """Places in the head, in millimetres: a `Grid`, or wherever a bent head has what a grid's voxels show."""

    @property
    def x(self) -> Volume:
        """Towards the right; the three together broadcast to (I, J, K)."""
        ...

    @property
    def y(self) -> Volume:
        """Forwards."""
        ...

    @property
    def z(self) -> Volume:
        """Up."""
        ...


@dataclass(frozen=True)
class Ball:
    """An ellipsoid along the axes of the head."""

    centre: tuple[float, float, float]  # millimetres of the head
    axes: tuple[float, float, float]  # half axes, millimetres


def mirrored(ball: Ball) -> list[Ball]:
    """Return the ellipsoid of the right side and that of the left."""
    x, y, z = ball.centre
    return [ball, Ball((-x, y, z), ball.axes)]


def depth(points: Points, ball: Ball) -> Volume:
    """Return about how deep (I, J, K) each point lies below the surface, millimetres, negative outside.

    Exact at the surface and along the shortest axis, too small elsewhere.
    """
    parts = zip((points.x, points.y, points.z), ball.centre, ball.axes, strict=True)
    x, y, z = (((along - centre) / axis) ** 2 for along, centre, axis in parts)
    away = x + y + z
    np.sqrt(away, out=away)
    away -= 1
    away *= -min(ball.axes)
    return np.asarray(away, dtype=np.float32)


def border(deep: NDArray[np.floating], width: float) -> Volume:
    """Return the share of a voxel inside a surface `deep` millimetres away, over a border of `width` mm."""
    share = deep / np.float32(width)
    share += np.float32(0.5)
    return np.asarray(np.clip(share, 0, 1, out=share), dtype=np.float32)


def paint(picture: Volume, value: Volume | float, where: Volume) -> None:
    """Cover the picture (I, J, K) with `value` to the share `where` of each voxel, in place."""
    picture += where * (value - picture)
