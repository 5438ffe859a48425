"""The folded surface of the cerebrum: gyri, sulci, fissures, and the corpus callosum between them.

Sulci are the sheets on which a smooth random field is zero. The field varies along the surface and hardly with
depth, so sheets run inwards; the cortex is what lies within its thickness of the surface or of a sheet.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from shared.imaging.scan import Volume
from simulations.hospitals.grid import Grid, smooth_noise
from simulations.hospitals.shapes import Ball, Points, depth

THICK_MM = 2.9  # cortex
_CEREBRUM = Ball((0.0, -17.0, 8.0), (69.0, 89.0, 69.0))
_TEMPORAL = (Ball((46.0, -14.0, -22.0), (22.0, 37.0, 20.0)), Ball((-46.0, -14.0, -22.0), (22.0, 37.0, 20.0)))
_SKULL = Ball((0.0, -17.0, -2.0), (71.0, 91.0, 80.0))
# Floor of the cerebrum: over the orbits, the midbrain, the tentorium; height and fall to the sides by y, mm.
_FLOOR_Y = (-105.0, -75.0, -45.0, -25.0, 10.0, 70.0)
_FLOOR_Z = (-16.0, -9.0, 2.0, -8.0, -22.0, -21.0)
_FALL = (0.25, 0.35, 0.4, 0.2, 0.0, -0.2)
_BASE = (
    Ball((0.0, -60.0, -32.0), (51.0, 32.0, 25.0)),  # posterior fossa
    Ball((0.0, -24.0, -36.0), (20.0, 19.0, 40.0)),  # around the stem
    Ball((0.0, -40.0, -6.0), (38.0, 44.0, 22.0)),  # basal cisterns
)
_INSULA = Ball((40.0, -1.0, 4.0), (1.0, 19.0, 12.0))  # sheets of the Sylvian fissure, beside the insula
_SYLVIAN = Ball((54.0, -10.0, 1.0), (16.0, 27.0, 0.8))  # and out to the surface
_CORE = Ball((0.0, -8.0, -2.0), (36.0, 34.0, 22.0))  # no sulci run into the deep nuclei
_SLOPE = 0.3  # the latter rises towards the back
_ARC = (-5.0, 4.0, 38.0, 24.0)  # the corpus callosum's ellipse: centre y, z and half axes, mm
_BOX_MM = (80.0, 100.0, 90.0)  # half edges of the folding field's lattice, about the middle of the cerebrum
_STEP_MM = 2.0  # of the lattice
_GYRUS_MM = 4.0  # over which the field is smooth; a gyrus is about three times as wide


@dataclass(frozen=True)
class Cortex:
    """Depths (I, J, K) in millimetres inside the surfaces of one cerebrum, and its noise."""

    skull: Volume  # inside the skull
    pial: Volume  # inside the cortex's outer surface
    white: Volume  # inside its inner surface
    callosum: Volume
    fine: Volume  # noise of unit variance that roughens borders
    texture: Volume  # the same for brightness, coarser


def fold(rng: np.random.Generator, grid: Grid, points: Points, atrophy: float) -> Cortex:
    """Return one folded surface; atrophy (0 none, 1 marked) widens the sulci and the space around the brain."""
    fine, texture, uneven = (smooth_noise(rng, grid, mm) for mm in (4.0, 9.0, 16.0))
    hull = _hull(points) + 1.0 * uneven
    reach = np.maximum(22.0 + 6.0 * uneven, 6.0)  # how deep sulci are
    sulci = np.hypot(_sheets(rng, points), np.maximum(hull - reach, 0))
    np.maximum(sulci, depth(points, _CORE), out=sulci)
    arc, callosum = _callosum(points)
    middle = np.hypot(points.x + 0.6 * uneven, np.maximum(-arc, 0))
    surface = np.minimum.reduce([hull, sulci, middle - 0.3, _sylvian(points, 1.2 * (fine + texture))])
    gap = 0.2 + 0.5 * atrophy + (0.5 + 1.0 * atrophy) * np.exp(-np.maximum(hull, 0) / 6)  # sulci gape outwards
    below = np.maximum(_hull_below(points), hull)
    space = np.maximum(depth(points, _SKULL), -3.0) + uneven
    skull = np.minimum(np.maximum(space, below), below + 1.2 + 2.2 * atrophy)
    pial = surface - gap
    return Cortex(skull, pial, pial - THICK_MM, callosum, fine, texture)


def _hull(points: Points) -> Volume:
    """Return the depth below the cerebrum's smooth outline, mm."""
    floor = (
        points.z
        - np.interp(points.y, _FLOOR_Y, _FLOOR_Z)
        + np.abs(points.x) * np.interp(points.y, _FLOOR_Y, _FALL)
    )
    hull = np.minimum(depth(points, _CEREBRUM), floor.astype(np.float32))
    for lobe in _TEMPORAL:
        np.maximum(hull, depth(points, lobe), out=hull)
    return hull


def _hull_below(points: Points) -> Volume:
    """Return the depth inside what the skull holds beneath the cerebrum, mm."""
    found = depth(points, _BASE[0])
    for ball in _BASE[1:]:
        np.maximum(found, depth(points, ball), out=found)
    return found


def _sheets(rng: np.random.Generator, points: Points) -> Volume:
    """Return the distance to the nearest sulcal sheet, mm: the field over its slope, to first order."""
    shape = [int(2 * half / _STEP_MM) for half in _BOX_MM]
    field = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), _GYRUS_MM / _STEP_MM)
    slope = np.sqrt(sum(s**2 for s in np.gradient(field, _STEP_MM)))
    distance = np.abs(field) / np.maximum(slope, 0.35 * slope.mean())  # the slope may vanish, sheets do not
    away = [
        (p - c) / a
        for p, c, a in zip((points.x, points.y, points.z), _CEREBRUM.centre, _CEREBRUM.axes, strict=True)
    ]
    radius = np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2)
    outwards = np.maximum(radius, 0.2) ** np.float32(-0.55)  # what lies deep is looked up nearer the surface
    places = [
        (a * outwards * axis + half) / _STEP_MM
        for a, axis, half in zip(away, _CEREBRUM.axes, _BOX_MM, strict=True)
    ]
    return np.asarray(ndimage.map_coordinates(distance, places, order=1, mode="nearest"), dtype=np.float32)


def _callosum(points: Points) -> tuple[Volume, Volume]:
    """Return how far (I, J, K) outside the callosal arc a point lies, and the depth in the corpus callosum, mm."""
    y, z, long, high = _ARC
    radius = np.sqrt(((points.y - y) / long) ** 2 + ((points.z - z) / high) ** 2)
    arc = (radius - 1) * np.float32(28.0)
    thick = 3.3 + 0.035 * np.abs(points.y - y)  # genu and splenium are thickest
    callosum = np.minimum(thick - np.abs(arc + 1.0), 13.0 - np.abs(points.x))
    return np.asarray(arc - 3.0, np.float32), np.minimum(callosum, points.z - 2.0).astype(np.float32)


def _sylvian(points: Points, bent: Volume) -> Volume:
    """Return the distance to the Sylvian fissure of the nearer side, mm; it is `bent` by as much, mm."""
    x, z = np.abs(points.x) + bent, points.z + _SLOPE * (points.y + 10.0) + bent
    insula = _outside(_INSULA, x, points.y, points.z)
    return np.minimum(insula, _outside(_SYLVIAN, x, points.y, z))


def _outside(ball: Ball, x: Volume, y: Volume, z: Volume) -> Volume:
    """Return the distance to a flat ellipsoid, mm, to first order (the level over its slope)."""
    places = [(p - c, a) for p, c, a in zip((x, y, z), ball.centre, ball.axes, strict=True)]
    level = np.sqrt(sum((p / a) ** 2 for p, a in places))
    slope = np.sqrt(sum((p / a**2) ** 2 for p, a in places))
    return np.asarray(level * (level - 1) / np.maximum(slope, 1e-6), dtype=np.float32)
