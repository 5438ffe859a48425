"""Halves and coarse arterial territories of the brain, from the geometry of an anatomical map alone.

Borders between territories differ widely from person to person (Tatu et al., 1998; van der Zwan et al., 1992);
these are planes in a brain's own extent, meant for placing lesions and not for reading them.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from shared.errors import CohortError
from shared.imaging.anatomy import STRUCTURES, Side, Tissue, is_parenchyma

CALLOSUM = 192
_HINDBRAIN = (7, 8, 16, 46, 47)  # cerebellum and brain stem, by FreeSurfer number
_THALAMI_AND_HIPPOCAMPI = (10, 17, 49, 53)
_SIDE_SIGN = {Side.LEFT: -1, Side.RIGHT: 1}
Mask = NDArray[np.bool_]


class Artery(IntEnum):
    """The artery that supplies a voxel; its value in a map of territories, where 0 is none."""

    ANTERIOR = 1  # anterior cerebral artery
    MIDDLE = 2  # middle cerebral artery
    POSTERIOR = 3  # posterior cerebral artery
    VERTEBROBASILAR = 4  # brain stem and cerebellum


def hindbrain(anatomy: NDArray[np.generic]) -> Mask:
    """Return where a map holds cerebellum or brain stem."""
    return np.isin(anatomy, _HINDBRAIN)


def halves(anatomy: NDArray[np.generic], affine: NDArray[np.float64]) -> NDArray[np.int8]:
    """Return -1 in the left and +1 in the right half of the parenchyma (i, j, k), 0 elsewhere.

    A structure that has a side is in that half. Brain stem and callosum are split by the plane that best
    separates left from right structures (least squares), wherever the head is and however it is tilted.
    """
    sign = _sided(anatomy)
    middle = is_parenchyma(anatomy) & (sign == 0)
    sign[middle] = np.where(_millimetres(middle, affine) @ _middle_plane(sign, affine) < 0, -1, 1)
    return sign


def territories(anatomy: NDArray[np.generic], affine: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the supplying `Artery` of every voxel of parenchyma (i, j, k), 0 elsewhere.

    Positions are shares of the cerebrum's extent: across from the middle plane, forwards, and upwards. The
    posterior artery has the rear fifth, the lower inner part of the rear half, thalamus and hippocampus; the
    anterior one the inner quarter before the rear third and above the deep nuclei; the middle one the rest.

    Raises:
        CohortError: the map holds no cerebrum.
    """
    found = np.zeros(anatomy.shape, np.uint8)
    below = hindbrain(anatomy)
    cerebrum = is_parenchyma(anatomy) & ~below
    if not cerebrum.any():
        raise CohortError("the anatomical map holds no cerebrum; check its labels")
    place = _millimetres(cerebrum, affine)
    across = np.abs(place @ _middle_plane(_sided(anatomy), affine))
    across /= max(float(np.percentile(across, 99)), 1e-6)
    low, high = np.percentile(place[:, 1:3], [1, 99], axis=0)
    forwards, upwards = ((place[:, 1:3] - low) / np.maximum(high - low, 1e-6)).T
    artery = np.full(len(place), Artery.MIDDLE, np.uint8)
    artery[(across < 0.25) & (forwards > 0.33) & ((upwards > 0.5) | (forwards > 0.75))] = Artery.ANTERIOR
    artery[(forwards < 0.2) | ((forwards < 0.5) & (upwards < 0.35) & (across < 0.6))] = Artery.POSTERIOR
    found[cerebrum] = artery
    found[np.isin(anatomy, _THALAMI_AND_HIPPOCAMPI)] = Artery.POSTERIOR
    found[below] = Artery.VERTEBROBASILAR
    return found


def _sided(anatomy: NDArray[np.generic]) -> NDArray[np.int8]:
    """Return -1 in the parenchyma of left structures, +1 of right ones (i, j, k), 0 elsewhere."""
    sign = np.zeros(anatomy.shape, np.int8)
    for structure in STRUCTURES:
        if structure.side in _SIDE_SIGN and structure.tissue is not Tissue.FLUID:
            sign[anatomy == structure.number] = _SIDE_SIGN[structure.side]
    return sign


def _middle_plane(sign: NDArray[np.int8], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a plane (4,), below 0 on the left, that best separates -1 from +1 in the least-squares sense."""
    plane = np.linalg.lstsq(_millimetres(sign != 0, affine), sign[sign != 0].astype(np.float64), rcond=None)[0]
    return np.asarray(plane)


def _millimetres(where: Mask, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the marked voxels' positions and 1, (n, 4)."""
    places = np.argwhere(where)
    return np.column_stack([places @ affine[:3, :3].T + affine[:3, 3], np.ones(len(places))])
