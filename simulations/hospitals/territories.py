"""Which artery feeds which part of the brain (after Tatu et al., 1998, simplified to planes and boxes)."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from shared.imaging.anatomy import STRUCTURES, is_parenchyma
from shared.imaging.scan import Volume
from simulations.hospitals.shapes import Points


class Territory(IntEnum):
    """An artery's share of the brain."""

    NONE = 0  # fluid and what is outside
    ANTERIOR = 1  # anterior cerebral artery
    MIDDLE = 2  # middle cerebral artery
    POSTERIOR = 3  # posterior cerebral artery
    CEREBELLAR = 4
    BASILAR = 5  # brain stem


CEREBRAL = (Territory.ANTERIOR, Territory.MIDDLE, Territory.POSTERIOR)
_OF_STRUCTURE = {
    "corpus callosum": Territory.ANTERIOR,
    "thalamus": Territory.POSTERIOR,
    "hippocampus": Territory.POSTERIOR,
    "caudate": Territory.MIDDLE,
    "putamen": Territory.MIDDLE,
    "pallidum": Territory.MIDDLE,
    "amygdala": Territory.MIDDLE,
    "cerebellar cortex": Territory.CEREBELLAR,
    "cerebellar white matter": Territory.CEREBELLAR,
    "brain stem": Territory.BASILAR,
}


def territories(points: Points, labels: NDArray[np.int16], wobble: Volume) -> tuple[NDArray[np.int8], Volume]:
    """Return the `Territory` of each voxel (I, J, K), and how far the next one of the cerebrum is, in mm.

    `wobble`, in millimetres, is how much a patient's borders differ from the standard.
    """
    x, y, z = np.abs(points.x), points.y, points.z
    anterior = np.minimum(22 - x + np.maximum(y - 30, 0) * 0.3, np.maximum(z - 12, y - 24)) + wobble
    anterior = np.minimum(anterior, y + 58)
    under = np.minimum(np.minimum(-12 - z, -14 - y), 48 - x)
    posterior = np.maximum(-60 - y - 0.25 * (x - 20), under) - wobble
    cerebral = np.where(anterior > np.maximum(posterior, 0), Territory.ANTERIOR, Territory.MIDDLE)
    cerebral[posterior > np.maximum(anterior, 0)] = Territory.POSTERIOR
    table = np.full(max(s.number for s in STRUCTURES) + 1, -1, dtype=np.int8)
    for structure in STRUCTURES:
        table[structure.number] = _OF_STRUCTURE.get(structure.name.removeprefix(f"{structure.side} "), -1)
    found = table[labels]
    found = np.where(found < 0, cerebral, found)
    found[~is_parenchyma(labels)] = Territory.NONE
    best = np.maximum(anterior, posterior)
    return found.astype(np.int8), np.abs(best).astype(np.float32)
