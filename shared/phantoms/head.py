"""The textbook layout of a head: where each structure lies, in millimetres from the anterior commissure.

All functions take points as (x, y, z), x being the distance from the middle where a structure comes in pairs,
and return depth below the surface (see `shared.phantoms.solids`). Measures are rounded from atlases of the
human brain (Talairach and Tournoux, 1988) to what a simulator needs.
"""

import numpy as np
from scipy import ndimage

from shared.phantoms.fields import smooth_field
from shared.phantoms.solids import Depth, Points, Triple, ellipsoid, tube

_SURFACE_MM = 65.0  # radius at which sulci are drawn, about that of a hemisphere's surface
_CELLS = 3.0  # cells of the noise from which sulci are drawn, in the distance over which folds vary


def hull(at: Points) -> Depth:
    """Return the depth in the cerebrum with its sulci filled."""
    x, y, z = at
    floor = np.interp(y, [-105, -75, -45, -30, -15, 5, 20, 70], [-10, -13, -8, -8, -16, -17, -20, -14])
    floor = floor + 6 * np.exp(-((x / 18) ** 2) - ((y + 45) / 18) ** 2)  # apex of the tentorium
    lobes = np.minimum(ellipsoid(at, (0, -17, 18), (68, 86, 60)), z - floor)
    return np.asarray(np.maximum(lobes, ellipsoid(at, (42, -14, -17), (25, 46, 24))), np.float32)


def cerebellum(at: Points) -> Depth:
    """Return the depth in the cerebellum: hemispheres and the vermis that rises between them."""
    halves = np.maximum(ellipsoid(at, (0, -63, -35), (52, 33, 26)), ellipsoid(at, (0, -56, -20), (22, 22, 20)))
    return np.asarray(np.minimum(halves, -ellipsoid(at, (0, -100, -48), (8, 16, 18))))


def peduncles(at: Points) -> Depth:
    """Return the depth in the white core of the cerebellum and its stalks towards the pons."""
    return tube(at, [(24, -66, -38, 8), (21, -54, -35, 8), (13, -38, -31, 6)])


def stem(at: Points) -> Depth:
    """Return the depth in the brain stem."""
    return tube(at, [(0, -22, -12, 12), (0, -24, -27, 15), (0, -35, -48, 9), (0, -43, -75, 7)])


def skull(at: Points) -> Depth:
    """Return the depth in brain and cisterns together."""
    _, y, z = at
    cistern = ellipsoid(at, (0, -14, -16), (20, 24, 12))
    tentorium = np.minimum.reduce([ellipsoid(at, (0, -17, 18), (68, 86, 60)), z + 24, -30 - y])
    return np.asarray(np.maximum.reduce([hull(at), cerebellum(at), stem(at), cistern, tentorium]))


def middle(at: Points) -> Depth:
    """Return the depth in the region of thalami and hypothalamus, which has neither cortex nor sulci."""
    return ellipsoid(at, (0, -12, 2), (21, 26, 22))


def pial(at: Points, filled: Depth, sulci: Depth, half_width: float) -> Depth:
    """Return the depth below the folded surface.

    Args:
        at: the points.
        filled: depth in the hull.
        sulci: distance to the nearest sulcus.
        half_width: half the width of a sulcus, which the clefts between lobes exceed.
    """
    x, y, z = at
    core = ellipsoid((y, z), (-5, 5), (39, 29))  # where the hemispheres are joined, seen from the side
    between = np.maximum(x - np.float32(0.6 + half_width), core)
    lateral = _lateral_sulcus(at) - np.float32(0.5 + 1.5 * half_width)
    folded = np.minimum.reduce([filled, between, lateral, sulci])
    return np.asarray(np.maximum(folded, np.minimum(filled, middle(at))))


def _lateral_sulcus(at: Points) -> Depth:
    """Return the distance to the sheet over the temporal lobe and to the one over the insula."""
    x, y, z = at
    height = z - (-8 + np.float32(0.45) * (20 - y))
    ends = np.maximum.reduce([np.zeros_like(y), y - 24, -42 - y])
    slit = np.sqrt(np.maximum(40 - x, 0) ** 2 + height**2 + ends**2)
    ends = np.maximum.reduce([np.zeros_like(y), y - 20, -18 - y])
    island = np.sqrt((x - 40) ** 2 + np.maximum(np.abs(height - 3) - 9, 0) ** 2 + ends**2)
    return np.asarray(np.minimum(slit, island))


def sulci(at: Points, filled: Depth, folds: float, folding: float, rng: np.random.Generator) -> Depth:
    """Return the distance to the nearest sulcus, for signed x.

    Sulci are where noise is zero on the surface of a hemisphere, carried inwards along winding rays to its
    middle; `folds` is the distance over which the noise varies, `folding` how deep they go.
    """
    x, y, z = at
    beside = np.where(x > 0, x - 24, x + 24)
    ray = np.sqrt(beside**2 + ((y + 17) * 0.8) ** 2 + (z - 12) ** 2) + np.float32(1e-3)
    cell = folds / _CELLS
    edge = int(2.6 * _SURFACE_MM / cell) + 4
    noise = smooth_field((edge, edge, edge), _CELLS, rng)
    slope = np.sqrt(sum(g * g for g in np.gradient(noise)))
    where = np.stack([beside / ray, (y + 17) / ray, (z - 12) / ray]) * (_SURFACE_MM / cell) + edge / 2
    where += rng.uniform(0, 3.5, (3, 1)) / cell * np.sin(ray / rng.uniform(4, 7) + rng.uniform(0, 6.3, (3, 1)))
    level, steepness = (ndimage.map_coordinates(f, where, order=1, mode="nearest") for f in (noise, slope))
    distance = (
        cell * np.abs(level) / np.maximum(steepness, 0.3 * slope.mean()) * np.minimum(ray / _SURFACE_MM, 1.2)
    )
    return np.asarray(distance + np.maximum(filled - folding, 0.0), np.float32)


def callosum(at: Points, rise: float) -> Depth:
    """Return the depth in the corpus callosum, which large ventricles raise by `rise`."""
    x, y, z = at
    arch = [
        (19, 0, 2.5),
        (29, 4, 4),
        (29, 11, 4.5),
        (19, 20, 4),
        (0, 26, 3.5),
        (-20, 25, 3.5),
        (-35, 17, 5),
        (-39, 10, 5),
    ]
    return np.asarray(np.minimum(tube((y, z - np.float32(rise)), arch), 8 - x))


def lateral_ventricle(at: Points, widening: float, septum: float = 0.5) -> Depth:
    """Return the depth in a lateral ventricle of `widening` times the textbook's radius."""
    horn = [
        (9, 27, 4, 3.5),
        (8, 12, 11, 4.5),
        (9, -10, 18, 4.5),
        (14, -28, 18, 5),
        (23, -42, 9, 5.5),
        (24, -62, 5, 2.5),
    ]
    lower = [(23, -42, 9, 5), (34, -28, -7, 2.8), (32, -11, -15, 2.2)]
    grown = [[(x + 0.7 * r * (widening - 1), y, z, r * widening) for x, y, z, r in part] for part in (horn, lower)]
    return np.asarray(np.minimum(np.maximum(tube(at, grown[0]), tube(at, grown[1])), at[0] - np.float32(septum)))


def third_ventricle(at: Points, widening: float) -> Depth:
    """Return the depth in the third ventricle."""
    return ellipsoid(at, (0, -11, -1), (1.8 * widening, 13, 9))


def fourth_ventricle(at: Points, widening: float) -> Depth:
    """Return the depth in the fourth ventricle."""
    return ellipsoid(at, (0, -44, -33), (5.5 * widening, 5 * widening, 11))


def nuclei(at: Points, growth: float, widening: float) -> dict[str, Depth]:
    """Return the depth in each deep nucleus of `growth` times the textbook's radius, by name.

    Wide ventricles push those beside them outwards.
    """
    x, y, z = at
    push = 3.0 * (widening - 1)
    slanted = (x + np.float32(0.15) * y, y, z)
    bodies: dict[str, tuple[Points, Triple, Triple]] = {
        "thalamus": (at, (11.5 + 0.5 * push, -19, 6), (10.5, 15, 10.5)),
        "putamen": (slanted, (25.5 + 0.3 * push, 1, 1), (6, 18, 11)),
        "pallidum": (slanted, (18.5 + 0.3 * push, -4, -1), (4.8, 10, 8)),
        "amygdala": (at, (23, -3, -19), (8, 8, 8)),
    }
    found = {
        name: ellipsoid(p, c, (r[0] * growth, r[1] * growth, r[2] * growth)) for name, (p, c, r) in bodies.items()
    }
    tail = [(13, 17, 1, 6.5), (15, 5, 11, 5), (17.5, -12, 19, 3.3), (20.5, -27, 18, 2.4)]
    found["caudate"] = tube(at, [(x + 1.6 * push, y, z, r * growth) for x, y, z, r in tail])
    body = [(26, -11, -19, 6.8), (31, -24, -11, 6.2), (27, -38, -2, 4.5)]
    found["hippocampus"] = tube(at, [(x, y, z, r * growth) for x, y, z, r in body])
    return found
