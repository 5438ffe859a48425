"""Where the tracer leaves the blood, as in tumours: no deconvolution holds there, and CBV is wrong.

Leaked tracer shortens T1, so that the signal overshoots its baseline, or adds to T2*, so that it never comes
back (Boxerman et al., 2006). Only a warning is given: no correction is made.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LEAST_ML = 0.5  # of a connected leak; noise makes smaller ones

_TAIL = 0.25  # of the frames, at the end
_ERRORS = 4  # standard errors from 0
_OVERSHOOT, _STAYING = 0.1, 0.5  # of the curve's height


def leaking(rate: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Return which curves (n, t) of ΔR2* end far below 0, or at more than half their height."""
    tail = rate[:, -int(_TAIL * rate.shape[1]) :]
    level, height = tail.mean(axis=1), rate.max(axis=1)
    error = _ERRORS * np.diff(tail, axis=1).std(axis=1) / np.sqrt(2 * tail.shape[1])
    overshoots: NDArray[np.bool_] = level < -np.maximum(error, _OVERSHOOT * height)
    stays: NDArray[np.bool_] = level > np.maximum(error, _STAYING * height)
    return overshoots | stays


def leak_ml(leaks: NDArray[np.bool_], voxel_ml: float) -> float:
    """Return the volume of connected leaks (i, j, k) of at least `LEAST_ML`."""
    pieces, count = ndimage.label(leaks)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:] * voxel_ml
    return float(sizes[sizes >= LEAST_ML].sum())
