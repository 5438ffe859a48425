"""The head around the arteries: brain, fluid, bone, scalp, muscle.

Tissues are painted one over another, each as its share of a voxel, so borders have partial volume. Lengths
are millimetres of the standard head (see `grid`).
"""

from dataclasses import dataclass

import numpy as np

from shared.imaging.scan import Volume
from simulations.hospitals.grid import Grid, smooth_noise
from simulations.hospitals.shapes import Ball, border, depth, mirrored, paint
from simulations.hospitals.site import Site

_CEREBRUM = Ball((0.0, -10.0, 22.0), (63.5, 79.0, 56.0))
_TEMPORAL = Ball((39.0, -3.0, -9.0), (24.0, 37.0, 17.0))
_CEREBELLUM = Ball((0.0, -50.0, -22.0), (48.0, 32.0, 22.0))
_STEM = Ball((0.0, -24.0, -18.0), (12.0, 11.0, 40.0))
_THALAMUS = Ball((13.0, -10.0, 11.0), (8.0, 13.0, 8.0))
_PUTAMEN = Ball((24.0, 6.0, 9.0), (5.0, 14.0, 8.0))
_SKULL = Ball((0.0, -10.0, 18.0), (65.5, 81.5, 64.0))

_VENTRICLES = (
    Ball((7.5, 10.0, 20.0), (4.2, 20.0, 5.0)),
    Ball((10.5, -16.0, 24.0), (4.8, 24.0, 4.5)),
    Ball((20.0, -42.0, 16.0), (4.0, 14.0, 6.0)),
)
_MIDDLE_SPACES = (
    Ball((0.0, -8.0, 9.0), (1.8, 9.0, 7.0)),  # third ventricle
    Ball((0.0, -37.0, -16.0), (6.0, 4.0, 8.0)),  # fourth ventricle
    Ball((0.0, 6.0, -2.0), (10.0, 10.0, 6.0)),  # suprasellar cistern
    Ball((0.0, -10.5, -1.0), (8.0, 4.0, 5.0)),  # interpeduncular cistern
    Ball((0.0, -15.0, -14.0), (12.0, 4.0, 16.0)),  # prepontine cistern
    Ball((0.0, 34.0, 28.0), (1.6, 40.0, 36.0)),  # between the hemispheres
    Ball((0.0, -62.0, 28.0), (1.4, 30.0, 36.0)),
    Ball((0.0, -38.0, 2.0), (12.0, 4.0, 6.0)),  # quadrigeminal cistern
)
_SIDE_SPACES = (
    Ball((26.0, 2.0, 1.5), (17.0, 3.5, 4.0)),  # Sylvian fissure, its stem and its lateral part
    Ball((40.0, -10.0, 10.0), (3.0, 22.0, 12.0)),
    Ball((14.0, -22.0, 1.0), (3.0, 10.0, 5.0)),  # ambient cistern
)


@dataclass(frozen=True)
class Head:
    """Brightness of everything but arteries, relative to fresh blood, and where the brain is."""

    brightness: Volume  # (I, J, K)
    brain: Volume  # (I, J, K), share of the voxel inside the brain and its fluid spaces


def make_head(rng: np.random.Generator, grid: Grid, site: Site, atrophy: float) -> Head:
    """Return one head as `site` sees it; atrophy (0 none, 1 marked) widens the fluid spaces."""
    bend, folds, fine = (smooth_noise(rng, grid, mm) for mm in (26.0, 6.5, 3.5))
    cerebellum = depth(grid, _CEREBELLUM) + 0.8 * bend
    floor = grid.z + 10 - 0.15 * np.maximum(grid.y, 0) - 0.9 * np.minimum(grid.y, 0)  # above the skull base
    brain = np.maximum(np.minimum(depth(grid, _CEREBRUM) + 1.2 * bend, floor), cerebellum)
    for part in (_STEM, *mirrored(_TEMPORAL)):
        brain = np.maximum(brain, depth(grid, part))
    inside = border(brain, grid.edge)
    picture = _outside(rng, grid, site, bend, fine)
    paint(picture, _brain(grid, site, brain, cerebellum, folds, fine, atrophy), inside)
    spaces = border(_fluid(rng, grid, atrophy) + 0.9 * folds + 0.5 * fine, 1.5 * grid.edge)
    paint(picture, site.csf, spaces * inside)
    return Head(picture, inside)


def _brain(
    grid: Grid, site: Site, deep: Volume, cerebellum: Volume, folds: Volume, fine: Volume, atrophy: float
) -> Volume:
    """Return grey and white matter with sulci; `deep` is in millimetres below the brain's surface."""
    shallow = np.clip(1 - deep / 20, 0, 1)
    sulcus = np.abs(folds + 0.15 * fine) * 4  # about the distance in millimetres to the middle of a sulcus
    ends = np.minimum(3 * shallow, 1)  # sulci run out at 20 mm
    fluid = ends * border((0.4 + 1.0 * atrophy + 0.8 * shallow) * shallow - sulcus, 2.0)
    cortex = np.maximum(ends * border(4.0 * np.sqrt(shallow) - sulcus, 2.5), border(3.4 - deep, 2.5))
    for nucleus in (*mirrored(_THALAMUS), *mirrored(_PUTAMEN)):
        cortex = np.maximum(cortex, border(depth(grid, nucleus) + 0.6 * folds, 4.0))
    cortex = np.maximum(cortex, 0.7 * border(cerebellum - 1, 3.0))
    tissue = site.white + (site.grey - site.white) * cortex
    return np.asarray((tissue + fluid * (site.csf - tissue)) * (1 + 0.025 * fine), dtype=np.float32)


def _fluid(rng: np.random.Generator, grid: Grid, atrophy: float) -> Volume:
    """Return the depth inside the nearest fluid space: ventricles, cisterns, fissures."""
    wide = float(1 + 0.5 * atrophy + rng.normal(0, 0.08))
    spaces = [*_MIDDLE_SPACES]
    for ball in _VENTRICLES:
        spaces += mirrored(Ball(ball.centre, (ball.axes[0] * wide, ball.axes[1], ball.axes[2] * wide)))
    for ball in _SIDE_SPACES:
        spaces += mirrored(ball)
    found = depth(grid, spaces[0])
    for ball in spaces[1:]:
        np.maximum(found, depth(grid, ball), out=found)
    return found


def _outside(rng: np.random.Generator, grid: Grid, site: Site, bend: Volume, fine: Volume) -> Volume:
    """Return everything outside the brain: air, scalp, bone with its marrow, muscle, fluid."""
    edge = grid.edge
    skull = depth(grid, _SKULL) + 1.0 * bend
    outer = skull + 6.0 + float(rng.uniform(4.0, 7.0))
    base = np.minimum(skull, -(grid.z + 22.0 + 0.25 * grid.y))  # below the skull base there is no brain
    temple = np.minimum(4.0 - np.abs(skull + 8.0), 14.0 - grid.z - 0.2 * np.abs(grid.y))
    picture = np.full(grid.shape, 0.01, dtype=np.float32)
    paint(picture, site.fat * (1 + 0.15 * fine), border(outer, edge))
    paint(picture, 0.8 * site.white, border(temple, 3.0))
    paint(picture, 0.06, border(skull + 6.0, edge))
    paint(picture, 0.35 * site.fat, border(1.0 - np.abs(skull + 3.2 + 0.5 * fine), 2.0))
    paint(picture, site.csf, border(skull, edge))
    paint(picture, 0.7 * site.white * (1 + 0.3 * fine), border(base, 4.0))
    return picture
