"""Solids of which a head is built: depth below their surface, in millimetres, at a list of points.

Depth is positive inside and about the distance to the surface near it. Of two solids the union has the larger
depth, the intersection the smaller.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Depth = NDArray[np.float32]  # (n,)
Points = Sequence[Depth]  # x, y, z of n points, millimetres
Triple = tuple[float, float, float]


def ellipsoid(at: Points, centre: tuple[float, ...], radii: tuple[float, ...]) -> Depth:
    """Return the depth in an ellipsoid (or, of two coordinates, an ellipse) with axes along the coordinates."""
    ratio = [(p - np.float32(c)) / np.float32(r) for p, c, r in zip(at, centre, radii, strict=True)]
    level = np.sqrt(sum(u * u for u in ratio))
    slope = np.sqrt(sum((u / np.float32(r)) ** 2 for u, r in zip(ratio, radii, strict=True)))
    return np.asarray(level * (1 - level) / np.maximum(slope, 1e-6) + 0.0, np.float32)


def tube(at: Points, nodes: Sequence[tuple[float, ...]]) -> Depth:
    """Return the depth in a tube along straight pieces; a node is a position and the radius there.

    Positions have as many coordinates as `at`: with two, the tube is a flat band's outline.
    """
    depth = np.full(at[0].shape, -np.inf, np.float32)
    for first, second in pairwise(nodes):
        start, end = np.array(first, np.float32), np.array(second, np.float32)
        step = end[:-1] - start[:-1]
        along = sum((p - s) * d for p, s, d in zip(at, start, step, strict=False)) / np.float32(step @ step)
        along = np.clip(along, 0.0, 1.0)
        square = sum((p - s - along * d) ** 2 for p, s, d in zip(at, start, step, strict=False))
        np.maximum(depth, start[-1] + along * (end[-1] - start[-1]) - np.sqrt(square), out=depth)
    return depth
