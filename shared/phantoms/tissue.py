"""Everything in a slab that is not an artery: brain, fluid, bone, fat, air, and bright unlabelled things.

Levels are in units of the image's white (its 99.9th percentile); axes are (k, i, j), lengths in voxels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from shared.phantoms.fields import Field, smooth_field


@dataclass(frozen=True)
class Levels:
    """Brightness of what is not an artery."""

    tissue: float  # mean of the brain
    contrast: float  # grey against white matter, relative to tissue
    fluid: float  # cerebrospinal fluid, relative to tissue
    fat: float  # the band around the skull
    texture: float  # fine structure, relative to tissue


@dataclass(frozen=True)
class Background:
    """`image` (k, i, j) in units of white, and `depth` below the surface of the brain in voxels."""

    image: Field
    depth: Field


def surface(shape: tuple[int, int, int], rng: np.random.Generator) -> Field:
    """Return signed depth (k, i, j) below a wavy, curved brain surface; negative is outside the brain.

    Three slabs in ten lie deep inside; in the others the surface passes near the middle.
    """
    k, i, j = np.meshgrid(*(np.arange(n, dtype=np.float32) - n / 2 for n in shape), indexing="ij")
    angle = rng.uniform(0, 2 * np.pi)
    radius = rng.uniform(45, 170)
    inward = radius - (60.0 if rng.random() < 0.3 else rng.uniform(-5.0, 45.0))
    centre_i, centre_j = inward * np.cos(angle), inward * np.sin(angle)
    distance = np.sqrt((i - centre_i) ** 2 + (j - centre_j) ** 2)
    wave = smooth_field(shape, 24.0, rng) * rng.uniform(0.5, 3.0)
    slope = k * rng.uniform(-0.8, 0.8)
    depth: Field = (radius - distance + wave + slope).astype(np.float32)
    return depth


def background(shape: tuple[int, int, int], levels: Levels, rng: np.random.Generator) -> Background:
    """Return a slab of brain with its coverings, before blur and noise."""
    depth = surface(shape, rng)
    matter = expit(4.0 * smooth_field(shape, rng.uniform(8, 20), rng))
    fine = smooth_field(shape, rng.uniform(1.5, 4.0), rng)
    brain = 1.0 + levels.contrast * (matter - 0.5) + levels.texture * fine
    image = levels.tissue * (brain + (levels.fluid - 1.0) * _fluid(depth, shape, rng))
    coverings = _coverings(depth, levels, rng) * (1.0 + 0.2 * fine)
    outside = expit(-1.5 * depth)
    return Background(np.maximum(image * (1 - outside) + coverings * outside, 0).astype(np.float32), depth)


def _fluid(depth: Field, shape: tuple[int, int, int], rng: np.random.Generator) -> Field:
    """Return the share of fluid: sulci near the surface, ventricles deep, a film under the skull."""
    fold = np.abs(smooth_field(shape, rng.uniform(10, 18), rng))
    width = rng.uniform(0.08, 0.3)
    sulci = expit((width - fold) * 20.0) * expit((rng.uniform(10, 40) - depth) / 3.0)
    cavity = expit(6.0 * (smooth_field(shape, rng.uniform(18, 32), rng) - rng.uniform(0.8, 2.5)))
    film = expit((rng.uniform(0.5, 4.0) - depth) * 1.5)
    share: Field = np.maximum(np.maximum(sulci, film), cavity)
    return share


def _coverings(depth: Field, levels: Levels, rng: np.random.Generator) -> Field:
    bone, fat = rng.uniform(1.5, 12), rng.uniform(2, 20)
    outer = -depth - bone
    band = expit(1.5 * outer) * expit(1.5 * (fat - outer))
    muscle = (
        rng.uniform(0.0, min(1.0, 3.0 * levels.fat))
        * levels.tissue
        * expit(1.5 * (outer - fat))
        * expit(fat + 25 - outer)
    )
    covering: Field = levels.fat * band + muscle + min(0.25, levels.fat) * levels.tissue * rng.random()
    return covering


def blobs(shape: tuple[int, int, int], count: int, level: float, rng: np.random.Generator) -> Field:
    """Return added brightness (k, i, j) of `count` soft ellipsoids: bright, compact and unlabelled."""
    image = np.zeros(shape, np.float32)
    for _ in range(count):
        radii = np.exp(rng.uniform(np.log(0.8), np.log(4.0), 3))
        window, square = _ellipsoid(shape, rng.random(3) * shape, radii, 2.5, rng)
        image[window] = np.maximum(image[window], level * rng.uniform(0.4, 1.2) * np.exp(-0.5 * square))
    return image


def insert_bodies(ground: Background, tissue: float, bright: float, rng: np.random.Generator) -> None:
    """Replace parts of the image by large ellipsoids: cavities, some with a bright core; orbits and air cells."""
    shape = (ground.image.shape[0], ground.image.shape[1], ground.image.shape[2])
    for _ in range(int(rng.poisson(2.0))):
        centre = rng.random((8, 3)) * shape
        k, i, j = centre.astype(int).T
        from_surface = np.abs(ground.depth[k, i, j] + rng.uniform(-5, 20))
        dark, anywhere = rng.random() < 0.5, rng.random() < 0.3
        level = rng.uniform(0.0, 0.8) * tissue if dark else rng.uniform(tissue, bright + tissue)
        radii = np.exp(rng.uniform(np.log(2.5), np.log(22.0), 3))
        place = centre[0 if anywhere else np.argmin(from_surface)]
        _fill(ground.image, place, radii, level, rng)
        if dark and rng.random() < 0.6:  # as choroid plexus in a ventricle
            core = np.maximum(radii * rng.uniform(0.15, 0.5, 3), 0.8)
            _fill(
                ground.image,
                place + radii * rng.uniform(-0.3, 0.3, 3),
                core,
                tissue + rng.uniform(0.0, bright),
                rng,
            )


def _fill(
    image: Field, centre: NDArray[np.float64], radii: NDArray[np.float64], level: float, rng: np.random.Generator
) -> None:
    """Replace an ellipsoid of the image (k, i, j) by a brightness, with a soft border."""
    window, square = _ellipsoid((image.shape[0], image.shape[1], image.shape[2]), centre, radii, 1.5, rng)
    image[window] += expit((1.0 - square) * 6.0) * (level - image[window])


def _ellipsoid(
    shape: tuple[int, int, int],
    centre: NDArray[np.float64],
    radii: NDArray[np.float64],
    reach: float,
    rng: np.random.Generator,
) -> tuple[tuple[slice, ...], Field]:
    """Return a window of the slab and, in it, the squared distance from the centre in units of the radii."""
    low = np.maximum(np.floor(centre - reach * radii), 0).astype(int)
    high = np.minimum(np.ceil(centre + reach * radii) + 1, shape).astype(int)
    window = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    lean = rng.uniform(-0.8, 0.8)
    k, i, j = np.ogrid[window]
    u, v, w = (k - centre[0]) / radii[0], (i - centre[1]) / radii[1], (j - centre[2]) / radii[2]
    return window, (u**2 + v**2 + w**2 + 2 * lean * v * w).astype(np.float32)
