"""A slab of head with labelled arteries, drawn from the parameters of one public patient.

Axes are (k, i, j), slices first. What is bright and no artery is there on purpose: see
`shared.phantoms.vessels`, which has the parameters and cuts patches from slabs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from shared.phantoms.fields import Field, smooth_field
from shared.phantoms.tissue import Levels, background, blobs, insert_bodies
from shared.phantoms.tubes import THINNEST, Drawing, Habit, Pen, draw, grow

SLICES = 6  # of the slab that the numbers of trunks and spots refer to
_REACH = 60  # slices: vessels are this long, so their number grows less than the slab does

Parameters = Mapping[str, float]
Shape = tuple[int, int, int]  # (k, i, j)


@dataclass(frozen=True)
class Slab:
    """`image` (k, i, j) in units of white, before noise; `label` arteries; `depth` below the brain's surface."""

    image: Field
    label: NDArray[np.bool_]
    depth: Field


def draw_slab(p: Parameters, shape: Shape, room: Shape, rng: np.random.Generator) -> Slab:
    """Return a slab of one patient.

    Args:
        p: the patient's parameters by name.
        shape: of the slab (k, i, j).
        room: the middle part (k, i, j) in which patches may be centred; an artery starts there.
        rng: draws everything else.
    """
    thickness = rng.uniform(1.0, 1.7)
    ground = background(shape, Levels(p["tissue"], p["contrast"], p["fluid"], p["fat"], p["texture"]), rng)
    insert_bodies(ground, p["tissue"], p["spot"], rng)
    arteries = _arteries(p, ground.depth, room, thickness, rng)
    image = np.maximum(ground.image, _veins(p["tissue"], p["spot"], ground.depth, thickness, rng))
    image = np.maximum(image, blobs(shape, int(rng.poisson(p["blobs"] * shape[0] / SLICES)), p["spot"], rng))
    image = np.maximum(image, image * (1 - arteries.cover) + arteries.light)
    image *= np.exp(p["bias"] * smooth_field(shape, 60.0, rng))
    image = gaussian_filter(image, (0.5 * p["blur"], p["blur"], p["blur"]), truncate=3.0)
    return Slab(image, arteries.label, ground.depth)


def _more(shape: Shape) -> float:
    """Return by how much longer structures are more numerous than in a slab of `SLICES`."""
    return (shape[0] + _REACH) / (SLICES + _REACH)


def _arteries(p: Parameters, depth: Field, room: Shape, thickness: float, rng: np.random.Generator) -> Drawing:
    """Return the arteries inside the brain."""
    shape = (depth.shape[0], depth.shape[1], depth.shape[2])
    trunks = max(1, int(rng.poisson(p["trunks"] * shape[1] * shape[2] / 96**2 * _more(shape))))
    start = _anywhere(trunks, shape, thickness, rng)
    start[0] = _in_reach(depth, room, rng) * [thickness, 1, 1]
    taper = float(np.exp(rng.uniform(np.log(0.1), np.log(1.2))))
    tree = grow(start, Habit(p["calibre"], p["branching"], p["tortuosity"], taper), rng)
    fade = np.clip(tree.radii / p["calibre"], 0.05, 1.5) ** p["fading"]
    own = np.exp(0.15 * rng.standard_normal((len(tree.radii), 1), dtype=np.float32))
    keep = (tree.radii > THINNEST) & (_depth_at(tree.points, depth, thickness) > -1.0)
    pen = Pen(thickness, p["profile"], p["margin"], p["outlined"])
    levels = p["tissue"] + max(p["flow"] - p["tissue"], 0.1) * fade * own
    return draw(tree.points[keep], tree.radii[keep], levels[keep], shape, pen)


def _anywhere(
    n: int, shape: tuple[int, int, int], thickness: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return points (n, 3) in the slab, in in-plane voxels."""
    return rng.random((n, 3), dtype=np.float32) * np.array([shape[0] * thickness, *shape[1:]], np.float32)


def _in_reach(depth: Field, room: Shape, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return a voxel (3,) of the brain on which a patch can be centred: no patient is without arteries."""
    edges = (np.array(depth.shape, np.intp) - room) // 2
    middle = depth[tuple(slice(edge, edge + length) for edge, length in zip(edges, room, strict=True))]
    voxel = rng.choice(np.flatnonzero(middle >= min(2.0, float(middle.max()))))
    start: NDArray[np.intp] = np.array(np.unravel_index(voxel, middle.shape), np.intp) + edges
    return start


def _depth_at(points: NDArray[np.float32], depth: Field, thickness: float) -> NDArray[np.float32]:
    voxels = np.rint(points / np.array([thickness, 1, 1], np.float32)).astype(int)
    voxels = np.clip(voxels, 0, np.array(depth.shape) - 1)
    there: NDArray[np.float32] = depth[voxels[..., 0], voxels[..., 1], voxels[..., 2]]
    return there


def _veins(tissue: float, bright: float, depth: Field, thickness: float, rng: np.random.Generator) -> Field:
    """Return the image of tubes without a label: dim veins anywhere, wide bright sinuses along the skull."""
    shape = (depth.shape[0], depth.shape[1], depth.shape[2])
    start = _anywhere(rng.poisson(1.0 * _more(shape)), shape, thickness, rng)
    veins = grow(start, Habit(1.2, 1.0, 0.08, steps=60), rng)
    start = _anywhere(rng.poisson(3.0 * _more(shape)), shape, thickness, rng)
    sinuses = grow(start, Habit(rng.uniform(1.5, 5.0), 0.5, 0.08, steps=60), rng)
    tubes = veins.join(sinuses)
    levels = np.full(tubes.radii.shape, tissue + np.exp(rng.uniform(np.log(0.02), np.log(0.4))), np.float32)
    levels[len(veins.radii) :] = rng.uniform(tissue, tissue + bright)
    keep = np.abs(_depth_at(tubes.points, depth, thickness) + 1.0) < 4.0
    keep[: len(veins.radii)] = True
    keep[:, 1::2] = False  # every other point is dense enough
    pen = Pen(thickness, 0.3, 1.0)
    return draw(tubes.points[keep], tubes.radii[keep], levels[keep], shape, pen).light
