"""Public simulator of lesion masks: free data to pre-train on, and the baseline private results stand beside.

Every lesion is a chain of soft balls along a bent path (as infarcts follow an artery), roughened by smooth
noise, now and then cut by a plane (a border of the skull or of a territory), and cut at the level that gives
a volume drawn log-uniformly from a wide range. It is drawn straight on the 32³ grid of
`shared.imaging.lesion_grid`, without a head around it.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shared.imaging.lesion_grid import GRID, GRID_MM
from shared.imaging.scan import Volume

VOLUME_ML = (3.0, 450.0)  # from which volumes are drawn, log-uniformly
CELLS = np.arange(GRID) + 0.5 - GRID / 2  # cell centres, in cells from the cube's centre
Field = NDArray[np.float64]


def simulate_lesions(n: int, rng: np.random.Generator) -> Volume:
    """Return n occupancies (n, 32, 32, 32) in [0, 1], each centred on its centre of mass to within a cell."""
    return np.stack([_lesion(rng) for _ in range(n)]) if n else np.zeros((0, GRID, GRID, GRID), np.float32)


def _lesion(rng: np.random.Generator) -> Volume:
    """Return one occupancy (32, 32, 32)."""
    cells = np.exp(rng.uniform(*np.log(VOLUME_ML))) * 1000 / GRID_MM**3
    radius = (cells * 3 / (4 * np.pi)) ** (1 / 3)
    field = np.log(_chain(radius, rng) + 1e-12) + rng.uniform(0.1, 1.8) * _roughness(rng)
    if rng.random() < 0.5:
        field = np.minimum(field, _plane(radius, rng) + np.quantile(field, 1 - cells / GRID**3))
    occupancy = _fill(field, cells)
    for _ in range(rng.poisson(rng.choice([0.0, 0.5, 3.0]))):
        occupancy = np.maximum(occupancy, _satellite(radius, rng))
    return _centred(occupancy).astype(np.float32)


def _chain(radius: float, rng: np.random.Generator) -> Field:
    """Return a sum of Gaussian balls along a bent random path, (32, 32, 32); `radius` is in cells."""
    balls = int(rng.integers(1, 9))
    turn = rng.normal(size=(balls, 3)) * rng.uniform(0.2, 1.0) + rng.normal(size=3)
    turn /= np.linalg.norm(turn, axis=1, keepdims=True)
    path = np.cumsum(turn * rng.uniform(0.4, 1.7) * radius * balls**-0.4, axis=0)
    path -= path.mean(axis=0)
    width = radius * balls**-0.3 * np.exp(rng.normal(0, 0.3, size=(balls, 3))) * rng.uniform(0.5, 0.9)
    rows = np.exp(-0.5 * ((CELLS - path[:, :, None]) / np.maximum(width, 0.7)[:, :, None]) ** 2)
    return np.asarray(np.einsum("ai,aj,ak->ijk", *rows.transpose(1, 0, 2), optimize=True))


def _roughness(rng: np.random.Generator) -> Field:
    """Return smooth noise (32, 32, 32) of about unit size: coarse noise, interpolated linearly."""
    knots = int(rng.choice([5, 9, 13]))
    at = np.linspace(0, knots - 1, GRID)
    weights = np.maximum(0.0, 1.0 - np.abs(at[:, None] - np.arange(knots)))
    noise = rng.normal(size=(knots,) * 3)
    for axis in range(3):
        noise = np.moveaxis(np.tensordot(weights, noise, axes=(1, axis)), 0, axis)
    return noise


def _plane(radius: float, rng: np.random.Generator) -> Field:
    """Return a signed distance (32, 32, 32) to a random plane that cuts off part of the lesion, in cells."""
    normal = rng.normal(size=3)
    normal /= np.linalg.norm(normal)
    i, j, k = np.meshgrid(CELLS, CELLS, CELLS, indexing="ij", sparse=True)
    return np.asarray(normal[0] * i + normal[1] * j + normal[2] * k + rng.uniform(0.0, 1.0) * radius)


def _fill(field: Field, cells: float) -> Field:
    """Return the occupancy that covers about `cells` cells where the field is highest, with partial edges."""
    level = np.quantile(field, 1 - min(cells / field.size, 0.9))
    slope = np.sqrt(sum(g**2 for g in np.gradient(field)))
    return np.asarray(np.clip(0.5 + (field - level) / np.maximum(slope, 1e-3), 0.0, 1.0))


def _satellite(radius: float, rng: np.random.Generator) -> Field:
    """Return the occupancy (32, 32, 32) of one small ball near the lesion."""
    away = rng.normal(size=3)
    centre = away / np.linalg.norm(away) * rng.uniform(0.8, 2.0) * radius
    axes = np.exp(rng.normal(0, 0.25, size=3)) * rng.uniform(0.5, 1.8)
    squares = (((CELLS - c) / a) ** 2 for c, a in zip(centre, axes, strict=True))
    i, j, k = np.meshgrid(*squares, indexing="ij", sparse=True)
    return np.asarray(np.clip(0.5 + (1.0 - np.sqrt(i + j + k)) * axes.min(), 0.0, 1.0))


def _centred(occupancy: Field) -> Field:
    """Return the occupancy moved by whole cells so that its centre of mass is the cube's centre."""
    off = np.rint(np.array(ndimage.center_of_mass(occupancy)) - (GRID - 1) / 2).astype(int)
    moved = np.zeros_like(occupancy)
    target = tuple(slice(max(0, -o), GRID - max(0, o)) for o in off)
    source = tuple(slice(max(0, o), GRID + min(0, o)) for o in off)
    moved[target] = occupancy[source]
    return moved
