"""Where the brain is, in a series of echo-planar images: bright, in one piece, without holes."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shared.errors import CohortError, UsageError
from shared.imaging.scan import Volume

_BINS = 256
_CROSS = ndimage.generate_binary_structure(2, 1)[:, :, None]  # within an axial slice
_LEAST = 0.01  # of the image: less is no brain


def brain_in(image: Volume, mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Return the brain (i, j, k): the mask that is given, or found in the mean image of a series.

    Raises:
        CohortError: none is found.
        UsageError: the mask is empty.
    """
    if mask is None:
        return brain_mask(image)
    if not mask.any():
        raise UsageError("the brain mask is empty; give one of this series, or none to have it found")
    return mask


def mean_image(series: NDArray[np.floating]) -> Volume:
    """Return the mean (i, j, k) of a series' frames (i, j, k, t) after the first, which is often too bright."""
    return np.asarray(series[..., 1:].mean(axis=3, dtype=np.float32))


def brain_mask(image: Volume) -> NDArray[np.bool_]:
    """Return the brain (i, j, k) in the mean image of a series: the largest bright piece, holes filled per slice.

    A simple rule for images in which the skull is dark; where it fails, give a mask.

    Raises:
        CohortError: no piece is of a brain's size.
    """
    bright = image > (_threshold(image) if image.any() else 0)
    pieces, count = ndimage.label(ndimage.binary_opening(bright, _CROSS))
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    if not count or sizes.max() < _LEAST * image.size:
        raise CohortError("no brain is found in the mean image; give a mask of it")
    piece = ndimage.binary_dilation(pieces == 1 + sizes.argmax(), _CROSS) & bright
    return np.stack([ndimage.binary_fill_holes(piece[..., k]) for k in range(image.shape[2])], axis=2)


def _threshold(image: Volume) -> float:
    """Return the level that parts dark from bright best (Otsu, 1979), of intensities up to the 99th percentile."""
    top = float(np.percentile(image, 99))
    counts, edges = np.histogram(np.clip(image, 0, top), bins=_BINS, range=(0, top or 1.0))
    middles = (edges[:-1] + edges[1:]) / 2
    below, mass = np.cumsum(counts), np.cumsum(counts * middles)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (mass / below - (mass[-1] - mass) / above) ** 2
    return float(edges[1 + np.nanargmax(between)])
