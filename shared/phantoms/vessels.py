"""A public simulator of labelled TOF-MRA patches: costs no ε, and anyone may run it.

A patient is a vector `theta` of positive parameters, drawn log-uniformly from broad ranges (domain
randomisation; Tobin et al., 2017). One slab of brain with branching tubes is drawn for a few patches and cut
in the way `shared.imaging.patches` cuts a scan: half the patches centred on an artery, half anywhere in the
brain (volumes too: a slab has no grid to cover); image in [-1, 1] with -1 at zero and +1 at white; label -1
or +1. Structures that are bright and no arteries are there on purpose: a network that never saw them takes
every bright spot for a vessel.
"""

import numpy as np
from numpy.typing import NDArray

from shared.imaging.patches import Patches
from shared.phantoms.slab import SLICES, Shape, Slab, draw_slab

Thetas = NDArray[np.float64]  # (patients, parameters), natural units

RANGES: dict[str, tuple[float, float]] = {
    "calibre": (0.5, 4.0),  # median radius of a trunk, voxels
    "branching": (1.0, 8.0),  # mean branches of a trunk
    "trunks": (1.0, 30.0),  # trunks that start in 96 x 96 x 6 voxels
    "tortuosity": (0.02, 0.25),  # radians a voxel
    "margin": (0.85, 1.5),  # radius of the annotator's outline over the true radius
    "outlined": (0.25, 0.9),  # radius below which an annotator leaves a vessel out, voxels
    "flow": (0.4, 1.8),  # brightness of a trunk, in units of white: the scale puts white within arteries
    "fading": (0.05, 0.9),  # exponent by which thinner vessels are dimmer
    "profile": (0.05, 0.5),  # loss of brightness from the axis to the wall
    "tissue": (0.1, 0.55),  # brightness of brain
    "contrast": (0.03, 0.5),  # grey against white matter, relative to tissue
    "fluid": (0.15, 1.0),  # brightness of fluid, relative to tissue
    "texture": (0.01, 0.2),  # fine structure, relative to tissue
    "fat": (0.05, 1.3),  # brightness of the band around the skull; near 0 = stripped
    "blobs": (0.2, 8.0),  # bright unlabelled spots in a slab
    "spot": (0.2, 1.3),  # their brightness
    "bias": (0.02, 0.5),  # amplitude of the coil's shading
    "blur": (0.1, 1.0),  # point spread, standard deviation in voxels
    "noise": (0.008, 0.12),  # Rician noise, in units of white
}
NAMES = tuple(RANGES)
LOG_LOW, LOG_HIGH = np.log(np.array(list(RANGES.values()))).T

PATCHES_PER_SLAB = 6  # a patient's patches come from several parts of the head
VOLUMES_PER_SLAB = 4
ROOM = 40  # voxels by which a slab exceeds a patch in-plane, so that centres differ
ROOM_ACROSS = 12  # slices by which a slab exceeds a volume


def draw_parameters(n: int, rng: np.random.Generator) -> Thetas:
    """Return (n, parameters) drawn log-uniformly from `RANGES`, in the order of `NAMES`."""
    return np.exp(rng.uniform(LOG_LOW, LOG_HIGH, size=(n, len(NAMES))))


def simulate(theta: NDArray[np.float64], patches: int, size: int, rng: np.random.Generator) -> Patches:
    """Return (patches, 2, size, size) of one public patient with parameters `theta` (parameters,)."""
    edges, shape = (1, size, size), (SLICES, size + ROOM, size + ROOM)
    parts = [np.empty((0, 2, *edges), np.float32)]
    for start in range(0, patches, PATCHES_PER_SLAB):
        count = min(PATCHES_PER_SLAB, patches - start)
        parts.append(_slab_patches(theta, count, edges, shape, (SLICES, ROOM, ROOM), rng))
    return np.concatenate(parts)[:, :, 0]


def simulate_3d(theta: NDArray[np.float64], patches: int, size: Shape, rng: np.random.Generator) -> Patches:
    """Return volumes (patches, 2, i, j, k) of one public patient; `size` has their edges (i, j, k) in voxels."""
    edges, room = (size[2], size[0], size[1]), (ROOM_ACROSS, ROOM, ROOM)
    shape = (edges[0] + room[0], edges[1] + room[1], edges[2] + room[2])
    parts = [np.empty((0, 2, *edges), np.float32)]
    for start in range(0, patches, VOLUMES_PER_SLAB):
        count = min(VOLUMES_PER_SLAB, patches - start)
        parts.append(_slab_patches(theta, count, edges, shape, room, rng))
    return np.ascontiguousarray(np.concatenate(parts).transpose(0, 1, 3, 4, 2))


def _slab_patches(
    theta: NDArray[np.float64], count: int, edges: Shape, shape: Shape, room: Shape, rng: np.random.Generator
) -> Patches:
    """Return patches (count, 2, *edges) of one slab of `shape`; all axes (k, i, j)."""
    p = dict(zip(NAMES, theta.tolist(), strict=True))
    slab = draw_slab(p, shape, room, rng)
    centres = _centres(slab, count, edges, room, rng)
    return _cut(slab, centres, edges, p["noise"], rng)


def _centres(slab: Slab, count: int, edges: Shape, room: Shape, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return distinct centres (count, 3) as (k, i, j): half on arteries where there are enough."""
    allowed = np.zeros(slab.label.shape, bool)
    allowed[tuple(slice(edge // 2, edge // 2 + free) for edge, free in zip(edges, room, strict=True))] = True
    on_vessel = np.flatnonzero(slab.label & allowed)
    on_vessel = rng.choice(on_vessel, min(count // 2, len(on_vessel)), replace=False)
    free = allowed & (slab.depth > 0)
    if free.sum() < count:
        free = allowed.copy()
    free.flat[on_vessel] = False
    anywhere = rng.choice(np.flatnonzero(free), count - len(on_vessel), replace=False)
    return np.stack(np.unravel_index(np.concatenate([on_vessel, anywhere]), free.shape), axis=1)


def _cut(slab: Slab, centres: NDArray[np.intp], edges: Shape, noise: float, rng: np.random.Generator) -> Patches:
    """Return patches with Rician noise (Gudbjartsson and Patz, 1995), scaled and clipped to [-1, 1]."""
    patches = np.empty((len(centres), 2, *edges), np.float32)
    for patch, corner in zip(patches, centres - np.array(edges) // 2, strict=True):
        window = tuple(slice(start, start + edge) for start, edge in zip(corner, edges, strict=True))
        patch[0] = slab.image[window]
        patch[1] = slab.label[window] * 2.0 - 1.0
    grain = rng.standard_normal((2, len(centres), *edges), dtype=np.float32) * np.float32(noise)
    patches[:, 0] = np.clip(np.hypot(patches[:, 0] + grain[0], grain[1]) * 2.0 - 1.0, -1.0, 1.0)
    return patches
