"""The head around the arteries: brain, fluid, skull, scalp, sinuses and what else is bright on an angiogram.

Tissues are painted one over another, each as its share of a voxel, so borders have partial volume.
"""

from dataclasses import dataclass

import numpy as np

from shared.imaging.scan import Volume
from simulations.hospitals.grid import Grid, smooth_noise
from simulations.hospitals.site import Site

_CEREBRUM = ((0.0, -10.0, 28.0), (64.0, 80.0, 54.0))  # centre and half axes, millimetres of the standard head
_CEREBELLUM = ((0.0, -48.0, -20.0), (46.0, 32.0, 22.0))
_STEM = ((0.0, -23.0, -18.0), (12.0, 11.0, 40.0))
_SKULL = ((0.0, -10.0, 20.0), (67.5, 84.0, 66.0))


@dataclass(frozen=True)
class Head:
    """Brightness of everything but arteries, relative to fresh blood, and where the brain is."""

    brightness: Volume  # (I, J, K)
    brain: Volume  # (I, J, K), share of the voxel inside the brain and its fluid spaces


def ball(
    grid: Grid, centre: tuple[float, ...], axes: tuple[float, ...], warp: Volume | float = 0.0
) -> Volume:
    """Return the depth (I, J, K) below an ellipsoid's surface in millimetres, positive inside; warp adds to it."""
    x, y, z = (((g - c) / a) ** 2 for g, c, a in zip((grid.x, grid.y, grid.z), centre, axes, strict=True))
    return np.asarray((1 - np.sqrt(x + y + z)) * np.float32(min(axes)) + warp, dtype=np.float32)


def share(depth: Volume, width: float) -> Volume:
    """Return the share of a voxel inside a surface `depth` millimetres away, over a border of `width` mm."""
    return np.clip(depth / np.float32(width) + np.float32(0.5), 0, 1)


def make_head(rng: np.random.Generator, grid: Grid, site: Site, atrophy: float) -> Head:
    """Return one head as `site` sees it; atrophy (0 none, 1 marked) widens the fluid spaces."""
    bend, folds, fine = (smooth_noise(rng, grid, mm) for mm in (26.0, 7.0, 4.0))
    edge = grid.edge
    cerebrum = ball(grid, *_CEREBRUM, warp=1.2 * bend)
    cerebellum = ball(grid, *_CEREBELLUM, warp=0.8 * bend)
    brain = np.maximum(np.maximum(cerebrum, cerebellum), ball(grid, *_STEM))
    inside = share(brain, edge)
    picture = _outside(rng, grid, site, bend, fine)
    _paint(picture, _brain(grid, site, brain, cerebellum, folds, fine, atrophy), inside)
    for depth, value in _fluid(rng, grid, site, atrophy):
        _paint(picture, value, share(depth, 1.5 * edge) * inside)
    for depth, value in _bright(rng, grid, site):
        _paint(picture, value, share(depth, 1.2 * edge))
    return Head(picture, inside)


def _paint(picture: Volume, value: Volume | float, where: Volume) -> None:
    """Cover the picture with `value` to the share `where`, in place."""
    picture += where * (value - picture)


def _brain(
    grid: Grid, site: Site, depth: Volume, cerebellum: Volume, folds: Volume, fine: Volume, atrophy: float
) -> Volume:
    """Return grey and white matter with sulci; `depth` is in millimetres below the brain's surface."""
    shallow = np.clip(1 - depth / 16, 0, 1)
    sulcus = np.abs(folds) * 5  # about the distance in millimetres to the middle of the nearest sulcus
    fluid = share((1.1 + 1.2 * atrophy) * shallow - sulcus, 1.5) * (shallow > 0)
    cortex = np.maximum(share(4.5 * np.sqrt(shallow) - sulcus, 2.0), share(3.2 - depth, 2.0))
    nuclei = np.maximum(
        share(ball(grid, (14.0, -10.0, 10.0), (9.0, 14.0, 9.0)), 3),
        share(ball(grid, (-14.0, -10.0, 10.0), (9.0, 14.0, 9.0)), 3),
    )
    cortex = np.maximum(np.maximum(cortex, nuclei), 0.7 * share(cerebellum - 1, 3.0))
    tissue = site.white + (site.grey - site.white) * cortex
    return np.asarray((tissue + fluid * (site.csf - tissue)) * (1 + 0.02 * fine), dtype=np.float32)


def _fluid(rng: np.random.Generator, grid: Grid, site: Site, atrophy: float) -> list[tuple[Volume, float]]:
    """Return the fluid spaces: ventricles, cisterns, fissures, as depth in millimetres and brightness."""
    wide = 1 + 0.5 * atrophy + rng.normal(0, 0.08)
    horn = (4.5 * wide, 20.0, 5.0 * wide)
    spaces = [
        ball(grid, (7.0, 10.0, 20.0), horn),
        ball(grid, (-7.0, 10.0, 20.0), horn),
        ball(grid, (10.0, -16.0, 24.0), (5.0 * wide, 24.0, 4.5 * wide)),
        ball(grid, (-10.0, -16.0, 24.0), (5.0 * wide, 24.0, 4.5 * wide)),
        ball(grid, (0.0, -8.0, 9.0), (1.8 * wide, 9.0, 7.0)),
        ball(grid, (0.0, -36.0, -16.0), (6.0 * wide, 4.0, 8.0)),
        ball(grid, (0.0, 2.0, -2.0), (15.0, 13.0, 6.5)),
        ball(grid, (0.0, -14.0, -10.0), (11.0, 4.5, 16.0)),
        ball(grid, (28.0, 1.0, 2.0), (18.0, 3.0 * wide, 3.5)),
        ball(grid, (-28.0, 1.0, 2.0), (18.0, 3.0 * wide, 3.5)),
        ball(grid, (39.0, -8.0, 10.0), (2.5 * wide, 18.0, 12.0)),
        ball(grid, (-39.0, -8.0, 10.0), (2.5 * wide, 18.0, 12.0)),
        ball(grid, (0.0, 30.0, 30.0), (1.5 * wide, 42.0, 34.0)),
        ball(grid, (0.0, -62.0, 30.0), (1.3 * wide, 30.0, 34.0)),
    ]
    return [(space, site.csf) for space in spaces]


def _outside(rng: np.random.Generator, grid: Grid, site: Site, bend: Volume, fine: Volume) -> Volume:
    """Return everything outside the brain: air, scalp fat, muscle, bone, sinuses."""
    edge = grid.edge
    skull = ball(grid, *_SKULL, warp=1.0 * bend)
    neck = np.minimum(skull, -(grid.z + 22.0 + 0.25 * grid.y))  # below the skull base: muscle, not brain
    picture = np.full(grid.shape, 0.01, dtype=np.float32)
    thick = float(rng.uniform(4.0, 7.0))
    _paint(picture, site.fat * (1 + 0.12 * fine), share(skull + 5.5 + thick, edge))
    _paint(
        picture,
        0.9 * site.white,
        share(np.minimum(skull + 5.5 + thick, 4.0 - np.abs(skull + 8.0)) * (grid.z < 10), edge),
    )
    _paint(picture, 0.06, share(skull + 5.5, edge))
    _paint(picture, 0.30 * site.fat, share(1.0 - np.abs(skull + 3.0), 2.0))  # marrow between the tables
    _paint(picture, site.csf, share(skull, edge))
    _paint(picture, 0.75 * site.white * (1 + 0.25 * fine), share(neck, 4.0))
    return picture


def _bright(rng: np.random.Generator, grid: Grid, site: Site) -> list[tuple[Volume, float]]:
    """Return what is bright but no artery, and the air beside it, as depth in millimetres and brightness."""
    found: list[tuple[Volume, float]] = []
    for m in (1.0, -1.0):
        found += [
            (ball(grid, (30.0 * m, 48.0, -16.0), (17.0, 24.0, 15.0)), 0.9 * site.fat),
            (ball(grid, (31.0 * m, 62.0, -16.0), (12.0, 12.0, 12.0)), 0.8 * site.csf),
            (ball(grid, (22.0 * m, 44.0, -15.0), (2.2, 20.0, 2.2)), site.grey),
            (ball(grid, (38.0 * m, -36.0, -26.0), (9.0, 8.0, 8.0)), 0.02),
            (
                ball(grid, (10.0 * m, -20.0, 20.0), (2.2, 8.0, 2.2)),
                float(rng.uniform(0.45, 0.62)),
            ),  # choroid plexus
        ]
    found += [
        (ball(grid, (0.0, 26.0, -18.0), (11.0, 15.0, 9.0)), 0.02),
        (ball(grid, (0.0, 25.0, -18.0), (12.0, 16.0, 10.0)) * -1 - 0.0, 0.0),
        (ball(grid, (0.0, 3.0, -13.0), (5.5, 4.5, 4.0)), float(rng.uniform(0.5, 0.75))),  # pituitary
        (ball(grid, (0.0, 58.0, -20.0), (9.0, 18.0, 14.0)), 0.02),
    ]
    return [pair for pair in found if pair[1] > 0]
