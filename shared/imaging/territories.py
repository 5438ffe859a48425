"""Halves and coarse arterial territories of the brain, from the geometry of an anatomical map alone.

Borders between territories differ widely from person to person (Tatu et al., 1998; van der Zwan et al., 1992);
these are planes in a brain's own extent, meant for placing lesions and not for reading them.
"""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from shared.errors import CohortError
from shared.imaging.anatomy import STRUCTURES, Side, is_parenchyma

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
    parenchyma = is_parenchyma(anatomy)
    sign = np.zeros(anatomy.shape, np.int8)
    for structure in STRUCTURES:
        if structure.side in _SIDE_SIGN:
            sign[parenchyma & (anatomy == structure.number)] = _SIDE_SIGN[structure.side]
    middle = parenchyma & (sign == 0)
    if middle.any():
        sided = _with_one(_millimetres(sign != 0, affine))
        plane = np.linalg.lstsq(sided, sign[sign != 0].astype(np.float64), rcond=None)[0]
        sign[middle] = np.where(_with_one(_millimetres(middle, affine)) @ plane < 0, -1, 1)
    return sign


def territories(anatomy: NDArray[np.generic], affine: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the supplying `Artery` of every voxel of parenchyma (i, j, k), 0 elsewhere.

    Positions are shares of the cerebrum's extent: across from the middle, forwards, and upwards. The
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
    low, high = np.percentile(place, [1, 99], axis=0)
    share = (place - low) / np.maximum(high - low, 1e-6)
    across, forwards, upwards = 2 * np.abs(share[:, 0] - 0.5), share[:, 1], share[:, 2]
    artery = np.full(len(place), Artery.MIDDLE, np.uint8)
    artery[(across < 0.25) & (forwards > 0.33) & ((upwards > 0.5) | (forwards > 0.75))] = Artery.ANTERIOR
    artery[(forwards < 0.2) | ((forwards < 0.5) & (upwards < 0.35) & (across < 0.6))] = Artery.POSTERIOR
    found[cerebrum] = artery
    found[np.isin(anatomy, _THALAMI_AND_HIPPOCAMPI)] = Artery.POSTERIOR
    found[below] = Artery.VERTEBROBASILAR
    return found


def _millimetres(where: Mask, affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return positions (n, 3) of the marked voxels."""
    return np.asarray(np.argwhere(where) @ affine[:3, :3].T + affine[:3, 3])


def _with_one(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, 4): positions and a constant."""
    return np.column_stack([place, np.ones(len(place))])
