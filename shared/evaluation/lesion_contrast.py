"""How bright lesion and tissues are in a diffusion-weighted image, whether drawn or real.

All intensities are of images scaled by themselves to [0, 1]; what is brighter than white is clipped there.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from shared.imaging.anatomy import STRUCTURES, Tissue, is_parenchyma
from shared.imaging.intensity import scale_dwi
from shared.imaging.scan import Role, Scan

BINS = 40  # of [0, 1]


class Kind(StrEnum):
    """What a voxel is counted as."""

    LESION = "lesion"
    GREY = "grey matter"
    WHITE = "white matter"
    FLUID = "fluid"


_KIND_OF = {
    Tissue.CORTEX: Kind.GREY,
    Tissue.NUCLEUS: Kind.GREY,
    Tissue.WHITE: Kind.WHITE,
    Tissue.FLUID: Kind.FLUID,
}


def contrast(scan: Scan) -> float | None:
    """Return the median intensity inside the lesion over that of the other brain tissue; 1: nothing is to be seen.

    None where there is no lesion, or the brain is black.
    """
    image, lesion = scale_dwi(scan.volumes[Role.DWI]), scan.volumes[Role.LESION] > 0.5
    brain = is_parenchyma(scan.volumes[Role.ANATOMY]) & ~lesion
    if not lesion.any() or not brain.any():
        return None
    around = float(np.median(image[brain]))
    return float(np.median(image[lesion])) / around if around > 0 else None


def histograms(scan: Scan) -> dict[Kind, NDArray[np.int64]]:
    """Return voxels by intensity, `BINS` equal bins of [0, 1], of each kind; a lesion is no tissue."""
    image, lesion = scale_dwi(scan.volumes[Role.DWI]), scan.volumes[Role.LESION] > 0.5
    where = {kind: np.zeros(lesion.shape, bool) for kind in Kind} | {Kind.LESION: lesion}
    for structure in STRUCTURES:
        if structure.tissue in _KIND_OF:
            where[_KIND_OF[structure.tissue]] |= (scan.volumes[Role.ANATOMY] == structure.number) & ~lesion
    return {kind: np.histogram(image[mask], BINS, (0.0, 1.0))[0] for kind, mask in where.items()}
