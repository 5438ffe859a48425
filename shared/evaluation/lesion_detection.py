"""What a lesion segmentation found of one patient: voxels, lesions, and alarms where there is nothing.

A lesion is a connected component of the true mask, voxels joined by faces, edges or corners; it is found if
any of its voxels is predicted. An alarm is a predicted component of at least `ALARM_ML` that touches no lesion.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy import ndimage

from shared.canonical import Json
from shared.evaluation.dice import Mask, patient_dice

ALARM_ML = 0.1  # smaller specks are no alarm to a reader
_CORNERS = np.ones((3, 3, 3))


@dataclass(frozen=True)
class Detection:
    """One patient, all sessions together."""

    dice: float | None  # None without any lesion: there is nothing to overlap with
    lesions: int
    found: int  # of them
    alarms: int
    alarm_voxels: int

    def as_json(self) -> Json:
        """Return the fields by name."""
        return asdict(self)


def detect(predictions: Sequence[Mask], truths: Sequence[Mask], voxel_ml: Sequence[float]) -> Detection:
    """Return what was found, from one mask (i, j, k) and the millilitres of a voxel for each session."""
    lesions = found = alarms = voxels = 0
    for prediction, truth, ml in zip(predictions, truths, voxel_ml, strict=True):
        labels, count = ndimage.label(truth, _CORNERS)
        lesions += count
        found += len(np.unique(labels[prediction & truth]))
        sizes = _untouched(prediction, truth)
        loud = sizes[sizes * ml >= ALARM_ML]
        alarms, voxels = alarms + len(loud), voxels + int(loud.sum())
    everywhere = [np.ones_like(truth) for truth in truths]
    dice = patient_dice(predictions, truths, everywhere) if lesions else None
    return Detection(dice, lesions, found, alarms, voxels)


def _untouched(prediction: Mask, truth: Mask) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the voxels of each predicted component that touches no lesion."""
    labels, count = ndimage.label(prediction, _CORNERS)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    touched = np.unique(labels[truth])
    sizes[touched] = 0
    sizes[0] = 0
    return np.asarray(sizes[sizes > 0])
