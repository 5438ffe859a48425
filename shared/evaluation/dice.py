"""Dice of a patient: 2TP / (2TP + FP + FN), all sessions of the patient pooled.

>>> import numpy as np
>>> truth = np.array([1, 1, 1, 0, 0], dtype=bool)
>>> dice(np.array([1, 1, 0, 1, 0], dtype=bool), truth)  # 2 hits, 1 false alarm, 1 miss: 4 / 6
0.6666666666666666
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared.errors import UsageError

Mask = NDArray[np.bool_]


def dice(prediction: Mask, truth: Mask) -> float:
    """Return the Dice of two masks of one shape, in [0, 1].

    Nothing predicted where there is nothing to find is right, hence 1; one empty mask against another that is
    not gives 0.

    Raises:
        UsageError: the shapes differ.
    """
    if prediction.shape != truth.shape:
        raise UsageError(f"Dice of masks of shapes {prediction.shape} and {truth.shape}: they must be one shape")
    both = int(np.count_nonzero(prediction & truth))
    either = int(np.count_nonzero(prediction)) + int(np.count_nonzero(truth))
    return 2 * both / either if either else 1.0


def patient_dice(predictions: Sequence[Mask], truths: Sequence[Mask], insides: Sequence[Mask]) -> float:
    """Return one Dice for a patient from one mask (i, j, k) a session each; voxels not `inside` do not count.

    The voxels of all sessions are pooled before the ratio is taken, so that a patient weighs one whatever the
    number of sessions, and a session with few vessels does not weigh as much as one with many.
    """
    sessions = list(zip(predictions, truths, insides, strict=True))
    return dice(
        np.concatenate([prediction[inside] for prediction, _, inside in sessions]),
        np.concatenate([truth[inside] for _, truth, inside in sessions]),
    )
