"""Lesions found and alarms, on masks that can be counted by hand."""

import numpy as np

from shared.evaluation.dice import Mask
from shared.evaluation.lesion_detection import ALARM_ML, Detection, detect


def mask(*boxes: tuple[int, int]) -> Mask:
    """Return a mask (20, 3, 3) that is true from `a` up to `b` along i."""
    made = np.zeros((20, 3, 3), bool)
    for a, b in boxes:
        made[a:b] = True
    return made


def test_a_lesion_is_found_by_a_voxel_and_what_touches_none_is_an_alarm() -> None:
    truth, prediction = mask((0, 2), (5, 8)), mask((7, 9), (12, 14))
    # 9 voxels a plane: 1 plane of both, 4 predicted, 5 true; the alarm is 2 planes
    assert detect([prediction], [truth], [1.0]) == Detection(2 * 9 / (36 + 45), 2, 1, 1, 18)


def test_voxels_that_meet_at_corners_are_one_lesion() -> None:
    truth = np.zeros((4, 4, 4), bool)
    truth[0, 0, 0] = truth[1, 1, 1] = truth[3, 3, 3] = True
    assert detect([truth], [truth], [1.0]).lesions == 2


def test_specks_are_no_alarm() -> None:
    nothing, speck = mask(), mask()
    speck[0, 0, 0] = True
    assert detect([speck], [nothing], [ALARM_ML]).alarms == 1
    assert detect([speck], [nothing], [0.9 * ALARM_ML]) == Detection(None, 0, 0, 0, 0)


def test_sessions_are_pooled() -> None:
    seen, missed = mask((0, 2)), mask((4, 8))
    found = detect([seen, mask()], [seen, missed], [1.0, 1.0])
    assert found == Detection(2 * 18 / (18 + 54), 2, 1, 0, 0)
    assert detect([mask(), mask((1, 2))], [mask(), mask()], [1.0, 1.0]).dice is None
