"""Scans that went less than well: holes around metal, ghosts of a patient who moved, a field chosen too small."""

import numpy as np

from shared.imaging.scan import Volume
from simulations.hospitals.findings import Findings
from simulations.hospitals.grid import Grid
from simulations.hospitals.shapes import Ball, border, depth, paint

_RIM = 1.1  # brightness that piles up beside a hole, relative to fresh blood


def spoil(rng: np.random.Generator, picture: Volume, grid: Grid, found: Findings) -> Volume:
    """Return the picture (I, J, K) with this patient's artefacts; labels stay where the anatomy is."""
    if found.metal:
        _hole(rng, picture, grid, found.metal)
    if found.ghost:
        picture = ghosts(picture, found.ghost, int(rng.integers(2, 5)))
    if found.fold:
        picture = _folded(picture, round(found.fold * picture.shape[1]))
    return picture


def _hole(rng: np.random.Generator, picture: Volume, grid: Grid, radius: float) -> None:
    """Paint a hole with a bright rim on one side, where the field bends (Schenck, 1996)."""
    x, y, z = rng.uniform((-45, -50, -10), (45, 45, 40))
    hole = Ball((x, y, z), (radius, 0.8 * radius, radius))
    rim = Ball((x, y + 0.5 * radius, z), (radius, 0.8 * radius, radius))
    paint(picture, _RIM, 0.8 * border(depth(grid, rim), 2.0))
    paint(picture, 0.01, border(depth(grid, hole), 2.0))


def ghosts(picture: Volume, share: float, number: int) -> Volume:
    """Return the picture and faint copies of it, evenly spaced along the phase-encoding axis j."""
    step = picture.shape[1] // number
    copies = sum(np.roll(picture, step * k, axis=1) / k for k in range(1, number))
    return np.asarray((1 - 0.5 * share) * picture + share * copies / 2, dtype=np.float32)


def _folded(picture: Volume, width: int) -> Volume:
    """Return the picture with what lies beyond one end of j laid over the other."""
    folded = picture.copy()
    if width:
        folded[:, :width] += 0.5 * picture[:, -width:]
    return folded
