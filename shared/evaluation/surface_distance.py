"""How far apart two masks lie, in millimetres: 95HD and bAHD. Masks are 2D or 3D.

Dice does not tell a miss by one voxel from a miss by a hundred; distances do, and thin vessels need them.

Empty masks have no surface, so the value is a convention, and it is never NaN: two empty masks agree (0), and
one empty mask against another that is not is as wrong as the image is large (its diagonal), as in the BraTS
challenges. A network that finds nothing is thus among the worst, instead of dropping out of a mean.

>>> import numpy as np
>>> truth = np.zeros((10, 10, 10), dtype=bool)
>>> truth[2:8, 2:8, 2:8] = True
>>> shifted = np.roll(truth, 1, axis=0)  # one of six layers too far: 36 of 216 voxels, 1 voxel away
>>> hausdorff_95(shifted, truth, (0.5, 0.5, 0.5))
0.5
>>> balanced_average_hausdorff(shifted, truth, (1.0, 1.0, 1.0)) == 36 / 216
True
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

from shared.errors import UsageError
from shared.evaluation.dice import Mask

Spacing = Sequence[float]  # edge of a voxel along each axis in mm; all 1 for distances in voxels


def hausdorff_95(prediction: Mask, truth: Mask, spacing: Spacing) -> float:
    """Return the 95th percentile of surface distances in mm, the larger of the two directions (95HD).

    The surface is every voxel of the mask with a neighbour outside it, face to face, or at the image's border.

    Raises:
        UsageError: the shapes differ, or spacing has another number of axes.
    """
    agreed = _of_empty(prediction, truth, spacing)
    if agreed is not None:
        return agreed
    ours, theirs = (_points(mask & ~binary_erosion(mask), spacing) for mask in (prediction, truth))
    away, back = cKDTree(theirs).query(ours)[0], cKDTree(ours).query(theirs)[0]
    return float(max(np.percentile(away, 95), np.percentile(back, 95)))


def balanced_average_hausdorff(prediction: Mask, truth: Mask, spacing: Spacing) -> float:
    """Return the balanced average Hausdorff distance in mm (bAHD; Aydin et al., 2021).

    ½ (Σ over truth voxels of the distance to the prediction + Σ over predicted voxels of the distance to the
    truth) / number of truth voxels. Both sums are divided by the truth's, so that of two predictions the one
    with more voxels in wrong places is never the better.

    Raises:
        UsageError: the shapes differ, or spacing has another number of axes.
    """
    agreed = _of_empty(prediction, truth, spacing)
    if agreed is not None:
        return agreed
    ours, theirs = _points(prediction, spacing), _points(truth, spacing)
    missed = cKDTree(ours).query(_points(truth & ~prediction, spacing))[0].sum()
    invented = cKDTree(theirs).query(_points(prediction & ~truth, spacing))[0].sum()
    return float(0.5 * (missed + invented) / len(theirs))


def patient_distance(
    measure: Callable[[Mask, Mask, Spacing], float],
    predictions: Sequence[Mask],
    truths: Sequence[Mask],
    insides: Sequence[Mask],
    spacings: Sequence[Spacing],
) -> float:
    """Return the mean of a distance over a patient's sessions; voxels not `inside` are empty in both masks."""
    sessions = zip(predictions, truths, insides, spacings, strict=True)
    return float(
        np.mean([measure(found & inside, truth & inside, edges) for found, truth, inside, edges in sessions])
    )


def _of_empty(prediction: Mask, truth: Mask, spacing: Spacing) -> float | None:
    """Return the agreed distance if a mask is empty."""
    if prediction.shape != truth.shape or len(spacing) != truth.ndim:
        msg = f"distance of masks {prediction.shape} and {truth.shape} with spacing {tuple(spacing)}"
        raise UsageError(f"{msg}: one shape is needed, and a voxel edge for each axis")
    empty = [not prediction.any(), not truth.any()]
    if all(empty):
        return 0.0
    return math.hypot(*(n * edge for n, edge in zip(truth.shape, spacing, strict=True))) if any(empty) else None


def _points(mask: Mask, spacing: Spacing) -> NDArray[np.float64]:
    """Return where the voxels of a mask are, (voxels, axes) in mm."""
    return np.argwhere(mask).astype(np.float64) * np.asarray(spacing, dtype=np.float64)
