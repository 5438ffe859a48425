"""A public simulator of labelled TOF-MRA patches: costs no ε, and anyone may run it.

A patient is a vector `theta` of positive parameters, drawn log-uniformly from broad ranges (domain
randomisation; Tobin et al., 2017). One slab of brain with branching tubes is drawn for every 6 patches and
cut in the way `shared.imaging.patches` cuts a scan: half the patches centred on an artery, half anywhere in
the brain; image in [-1, 1] with -1 at zero and +1 at white; label -1 or +1. Structures that are bright and no
arteries are there on purpose: a network that never saw them takes every bright spot for a vessel.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from shared.imaging.patches import Patches
from shared.phantoms.fields import Field, smooth_field
from shared.phantoms.tissue import Levels, background, blobs, insert_bodies
from shared.phantoms.tubes import THINNEST, Drawing, Habit, Pen, draw, grow

Thetas = NDArray[np.float64]  # (patients, parameters), natural units

RANGES: dict[str, tuple[float, float]] = {
    "calibre": (0.7, 4.0),  # median radius of a trunk, voxels
    "branching": (1.0, 8.0),  # mean branches of a trunk
    "trunks": (1.0, 9.0),  # trunks that start in 96 x 96 x 6 voxels
    "tortuosity": (0.02, 0.25),  # radians a voxel
    "margin": (0.85, 1.5),  # radius of the annotator's outline over the true radius
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
    "blur": (0.3, 1.0),  # point spread, standard deviation in voxels
    "noise": (0.008, 0.12),  # Rician noise, in units of white
}
NAMES = tuple(RANGES)
LOG_LOW, LOG_HIGH = np.log(np.array(list(RANGES.values()))).T

SLICES = 6
PATCHES_PER_SLAB = 6  # a patient's patches come from several parts of the head
ROOM = 40  # voxels by which a slab exceeds a patch in-plane, so that centres differ


def draw_parameters(n: int, rng: np.random.Generator) -> Thetas:
    """Return (n, parameters) drawn log-uniformly from `RANGES`, in the order of `NAMES`."""
    return np.exp(rng.uniform(LOG_LOW, LOG_HIGH, size=(n, len(NAMES))))


def simulate(theta: NDArray[np.float64], patches: int, size: int, rng: np.random.Generator) -> Patches:
    """Return (patches, 2, size, size) of one public patient with parameters `theta` (parameters,)."""
    parts = [np.empty((0, 2, size, size), np.float32)]
    for start in range(0, patches, PATCHES_PER_SLAB):
        parts.append(_slab_patches(theta, min(PATCHES_PER_SLAB, patches - start), size, rng))
    return np.concatenate(parts)


def _slab_patches(theta: NDArray[np.float64], count: int, size: int, rng: np.random.Generator) -> Patches:
    p = dict(zip(NAMES, theta.tolist(), strict=True))
    shape = (SLICES, size + ROOM, size + ROOM)
    thickness = rng.uniform(1.0, 1.7)
    ground = background(shape, Levels(p["tissue"], p["contrast"], p["fluid"], p["fat"], p["texture"]), rng)
    insert_bodies(ground, p["tissue"], p["spot"], rng)
    arteries = _arteries(p, ground.depth, thickness, rng)
    image = np.maximum(ground.image, _veins(p["tissue"], p["spot"], ground.depth, thickness, rng))
    image = np.maximum(image, blobs(shape, int(rng.poisson(p["blobs"])), p["spot"], rng))
    image = np.maximum(image, image * (1 - arteries.cover) + arteries.light)
    image *= np.exp(p["bias"] * smooth_field(shape, 60.0, rng))
    image = gaussian_filter(image, (0.5 * p["blur"], p["blur"], p["blur"]), truncate=3.0)
    centres = _centres(arteries.label, ground.depth > 0, count, size, rng)
    return _cut(image, arteries.label, centres, size, p["noise"], rng)


def _arteries(p: dict[str, float], depth: Field, thickness: float, rng: np.random.Generator) -> Drawing:
    """Return the arteries inside the brain."""
    shape = (depth.shape[0], depth.shape[1], depth.shape[2])
    trunks = max(1, int(rng.poisson(p["trunks"] * shape[1] * shape[2] / 96**2)))
    start = _anywhere(trunks, shape, thickness, rng)
    start[0] = _in_reach(depth, rng) * [thickness, 1, 1]
    taper = float(np.exp(rng.uniform(np.log(0.1), np.log(1.2))))
    tree = grow(start, Habit(p["calibre"], p["branching"], p["tortuosity"], taper), rng)
    fade = np.clip(tree.radii / p["calibre"], 0.05, 1.5) ** p["fading"]
    own = np.exp(0.15 * rng.standard_normal((len(tree.radii), 1), dtype=np.float32))
    keep = (tree.radii > THINNEST) & (_depth_at(tree.points, depth, thickness) > -1.0)
    pen = Pen(thickness, p["profile"], p["margin"])
    levels = p["tissue"] + max(p["flow"] - p["tissue"], 0.1) * fade * own
    return draw(tree.points[keep], tree.radii[keep], levels[keep], shape, pen)


def _anywhere(
    n: int, shape: tuple[int, int, int], thickness: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return points (n, 3) in the slab, in in-plane voxels."""
    return rng.random((n, 3), dtype=np.float32) * np.array([shape[0] * thickness, *shape[1:]], np.float32)


def _in_reach(depth: Field, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return a voxel (3,) of the brain on which a patch can be centred: no patient is without arteries."""
    edge = (depth.shape[1] - ROOM) // 2
    middle = depth[:, edge : edge + ROOM, edge : edge + ROOM]
    voxel = rng.choice(np.flatnonzero(middle >= min(2.0, float(middle.max()))))
    k, i, j = np.unravel_index(voxel, middle.shape)
    return np.array([k, i + edge, j + edge])


def _depth_at(points: NDArray[np.float32], depth: Field, thickness: float) -> NDArray[np.float32]:
    voxels = np.rint(points / np.array([thickness, 1, 1], np.float32)).astype(int)
    voxels = np.clip(voxels, 0, np.array(depth.shape) - 1)
    there: NDArray[np.float32] = depth[voxels[..., 0], voxels[..., 1], voxels[..., 2]]
    return there


def _veins(tissue: float, bright: float, depth: Field, thickness: float, rng: np.random.Generator) -> Field:
    """Return the image of tubes without a label: dim veins anywhere, wide bright sinuses along the skull."""
    shape = (depth.shape[0], depth.shape[1], depth.shape[2])
    start = _anywhere(rng.poisson(1.0), shape, thickness, rng)
    veins = grow(start, Habit(1.2, 1.0, 0.08, steps=60), rng)
    start = _anywhere(rng.poisson(3.0), shape, thickness, rng)
    sinuses = grow(start, Habit(rng.uniform(1.5, 5.0), 0.5, 0.08, steps=60), rng)
    tubes = veins.join(sinuses)
    levels = np.full(tubes.radii.shape, tissue + np.exp(rng.uniform(np.log(0.02), np.log(0.4))), np.float32)
    levels[len(veins.radii) :] = rng.uniform(tissue, tissue + bright)
    keep = np.abs(_depth_at(tubes.points, depth, thickness) + 1.0) < 4.0
    keep[: len(veins.radii)] = True
    keep[:, 1::2] = False  # every other point is dense enough
    pen = Pen(thickness, 0.3, 1.0)
    return draw(tubes.points[keep], tubes.radii[keep], levels[keep], shape, pen).light


def _centres(
    label: NDArray[np.bool_], brain: NDArray[np.bool_], count: int, size: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return distinct centres (count, 3) as (k, i, j): half on arteries where there are enough."""
    room = np.zeros(label.shape, bool)
    room[:, size // 2 : size // 2 + ROOM, size // 2 : size // 2 + ROOM] = True
    on_vessel = np.flatnonzero(label & room)
    on_vessel = rng.choice(on_vessel, min(count // 2, len(on_vessel)), replace=False)
    free = room & brain
    if free.sum() < count:
        free = room.copy()
    free.flat[on_vessel] = False
    anywhere = rng.choice(np.flatnonzero(free), count - len(on_vessel), replace=False)
    return np.stack(np.unravel_index(np.concatenate([on_vessel, anywhere]), label.shape), axis=1)


def _cut(
    image: Field,
    label: NDArray[np.bool_],
    centres: NDArray[np.intp],
    size: int,
    noise: float,
    rng: np.random.Generator,
) -> Patches:
    """Return patches with Rician noise (Gudbjartsson and Patz, 1995), scaled and clipped to [-1, 1]."""
    patches = np.empty((len(centres), 2, size, size), np.float32)
    for patch, (k, i, j) in zip(patches, centres - [0, size // 2, size // 2], strict=True):
        patch[0] = image[k, i : i + size, j : j + size]
        patch[1] = label[k, i : i + size, j : j + size] * 2.0 - 1.0
    grain = rng.standard_normal((2, len(centres), size, size), dtype=np.float32) * np.float32(noise)
    patches[:, 0] = np.clip(np.hypot(patches[:, 0] + grain[0], grain[1]) * 2.0 - 1.0, -1.0, 1.0)
    return patches
