"""Intensity scaling, one image at a time.

No constant here is learnt from a data set: a mean or a percentile over patients would be a release that no
mechanism has noised. An image is scaled by itself or not at all.
"""

import numpy as np
from numpy.typing import NDArray

from shared.imaging.scan import Volume

WHITE_PERCENTILE = 99.9  # arteries fill a few thousandths of a head, so this lies within them
DWI_PERCENTILE = 99.5  # of the voxels above zero (Platscher et al., 2020, section 2.1)
DWI_BACKGROUND = 35 / 255  # of that percentile; their threshold is 35 on images of 8 bits


def scale_per_image(volume: NDArray[np.floating]) -> Volume:
    """Return float32 of the same shape in [-1, 1]: 0 becomes -1, the image's 99.9th percentile +1.

    Values beyond are clipped. An image without contrast (constant, or nothing above zero) becomes -1 all
    over, so that an odd image yields odd patches and not an exception.
    """
    voxels = np.nan_to_num(np.asarray(volume, dtype=np.float32))
    if voxels.size == 0 or voxels.min() == voxels.max():
        return np.full(voxels.shape, -1.0, dtype=np.float32)
    white = float(np.percentile(voxels, WHITE_PERCENTILE))
    if white <= 0:  # fewer than one voxel in a thousand is above zero
        white = float(voxels.max())
    if white <= 0:
        return np.full(voxels.shape, -1.0, dtype=np.float32)
    scaled = voxels * np.float32(2.0 / white) - np.float32(1.0)
    return np.clip(scaled, -1.0, 1.0, out=scaled)


def scale_dwi(volume: NDArray[np.floating], *, signed: bool = False) -> Volume:
    """Return float32 of the same shape in [0, 1], for segmentation; `signed` gives [-1, 1], for translators.

    The 99.5th percentile of the voxels above zero becomes 1, what is brighter is clipped, and what is darker
    than `DWI_BACKGROUND` becomes the lower end. So does all of an image without contrast (constant, empty,
    or nothing above zero). Voxels that are not finite count as zero.
    """
    voxels = np.nan_to_num(np.asarray(volume, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    scaled = np.zeros(voxels.shape, dtype=np.float32)
    positive = voxels[voxels > 0]
    if positive.size and voxels.min() < voxels.max():
        scaled = np.clip(voxels / np.percentile(positive, DWI_PERCENTILE), 0.0, 1.0).astype(np.float32)
        scaled[scaled < DWI_BACKGROUND] = 0.0
    return scaled * np.float32(2.0) - np.float32(1.0) if signed else scaled
