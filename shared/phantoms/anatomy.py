"""A public simulator of anatomical label maps: all 28 structures of `shared.imaging.anatomy`, and no patient.

A head is built of solids at their textbook places (millimetres, RAS, origin near the anterior commissure),
then scaled, tilted and bent; sulci are sheets of noise drawn on the surface and carried inwards. Its
parameters are drawn log-uniformly from ranges wider than people are (domain randomisation; Tobin et al.,
2017; Billot et al., 2023).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from shared.phantoms import head
from shared.phantoms.fields import smooth_field
from shared.phantoms.solids import Points

RANGES: dict[str, tuple[float, float]] = {
    "size": (0.88, 1.1),  # of the head, relative to the textbook's
    "aspect": (0.01, 0.07),  # standard deviation of further scaling along each axis
    "tilt": (1.0, 6.0),  # standard deviation of the rotation about each axis, degrees
    "shift": (1.0, 5.0),  # standard deviation of the position along each axis, millimetres
    "warp": (0.5, 4.0),  # standard deviation of the bending along each axis, millimetres
    "ventricles": (0.6, 2.2),  # radius of the ventricles, relative to the textbook's
    "rim": (1.0, 6.0),  # fluid between brain and skull, millimetres; wide with atrophy
    "sulci": (0.2, 1.6),  # half the width of a sulcus, millimetres
    "folds": (8.0, 15.0),  # distance over which folds vary, millimetres
    "folding": (10.0, 26.0),  # depth of sulci, millimetres
    "cortex": (2.4, 4.6),  # thickness of the cortex, millimetres
    "nuclei": (0.85, 1.2),  # radius of the deep nuclei, relative to the textbook's
}

FIELD_MM = (205.0, 205.0, 144.0)  # field of view, whatever the number of voxels
CENTRE_MM = np.array([0.0, -17.0, 9.0])  # of the field of view
_BEND_MM = 45.0  # distance over which bending varies

Labels = NDArray[np.int16]
Shape = tuple[int, int, int]
Parameters = Mapping[str, float]


def simulate_anatomy(p: Parameters, shape: Shape, rng: np.random.Generator) -> tuple[Labels, NDArray[np.float64]]:
    """Return FreeSurfer numbers (i, j, k) and their affine (4, 4) to RAS millimetres.

    Args:
        p: the parameters of `RANGES` by name; others are ignored.
        shape: voxels along i, j, k; the field of view stays `FIELD_MM`.
        rng: draws everything else.
    """
    spacing = np.array(FIELD_MM) / shape
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = CENTRE_MM - spacing * (np.array(shape) - 1) / 2
    labels = np.zeros(shape, np.int16)
    place = _places(p, shape, affine, rng)
    inside = head.skull([np.abs(place[0]), *place[1:]]) > -p["rim"]
    # a sulcus that fills less than half of the voxels it runs through is in no voxel's label
    width = p["sulci"] if p["sulci"] > spacing[:2].max() / 4 else 0.0
    labels[inside] = _label([axis[inside] for axis in place], p, width, rng)
    return labels, affine


def _places(p: Parameters, shape: Shape, affine: NDArray[np.float64], rng: np.random.Generator) -> Points:
    """Return the textbook's x, y, z of every voxel, each (i, j, k)."""
    stretch = p["size"] * np.exp(p["aspect"] * rng.standard_normal(3))
    turn = Rotation.from_euler("xyz", p["tilt"] * rng.standard_normal(3), degrees=True).as_matrix()
    back = turn / stretch[:, None]
    spacing = affine.diagonal()[:3]
    mm = np.meshgrid(
        *(affine[a, 3] + spacing[a] * np.arange(shape[a]) - CENTRE_MM[a] for a in range(3)), indexing="ij"
    )
    offset = CENTRE_MM + p["shift"] * rng.standard_normal(3)
    knots = (_BEND_MM / spacing[0], _BEND_MM / spacing[1], _BEND_MM / spacing[2])
    axes = []
    for row, start in zip(back, offset, strict=True):
        straight = start + sum(share * axis for share, axis in zip(row, mm, strict=True))
        axes.append((straight + p["warp"] * smooth_field(shape, knots, rng)).astype(np.float32))
    return axes


def _label(at: Points, p: Parameters, sulcus: float, rng: np.random.Generator) -> Labels:
    """Return the structure of n points inside the skull: later lines of the list lie upon earlier ones."""
    half = (np.abs(at[0]), at[1], at[2])  # pairs are mirrored; what differs between sides is the bending
    filled = head.hull(half)
    sulci = head.sulci(at, filled, p["folds"], p["folding"], rng) - np.float32(sulcus)
    depth = head.pial(half, filled, sulci, p["sulci"])
    cerebrum = depth > 0
    cerebellum = np.where(filled < -1.5, head.cerebellum(half), -1.0)
    leaves = 12.0 + 3.0 * np.sin(at[2] * 1.1 + 0.05 * half[0] ** 2 / 3)
    nuclei = head.nuclei(half, p["nuclei"], p["ventricles"])
    layers = [
        (cerebellum > 0, 8, 47),
        ((cerebellum > leaves) | ((head.peduncles(half) > 0) & (cerebellum > 1)), 7, 46),
        (cerebrum, 3, 42),
        ((depth > p["cortex"]) | (cerebrum & (head.middle(half) > 0)), 2, 41),
        (cerebrum & (nuclei["hippocampus"] > 0), 17, 53),
        (cerebrum & (nuclei["amygdala"] > 0), 18, 54),
        (head.stem(half) > 0, 16, 16),
        (cerebrum & (head.lateral_ventricle(half, p["ventricles"]) > 0), 4, 43),
        (cerebrum & (nuclei["caudate"] > 0), 11, 50),
        (nuclei["putamen"] > 0, 12, 51),
        (nuclei["pallidum"] > 0, 13, 52),
        (nuclei["thalamus"] > 0, 10, 49),
        (head.callosum(half, 4.0 * max(p["ventricles"] - 1, 0.0)) > 0, 192, 192),
        (head.third_ventricle(half, p["ventricles"]) > 0, 14, 14),
        (head.fourth_ventricle(half, p["ventricles"]) > 0, 15, 15),
    ]
    labels = np.full(at[0].shape, 24, np.int16)
    for where, left, right in layers:
        labels[where] = np.where(at[0][where] > 0, right, left)
    return labels
