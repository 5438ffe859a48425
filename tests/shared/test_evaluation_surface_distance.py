"""95HD and bAHD: hand cases, brute force, the agreement on empty masks, and patients of several sessions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from scipy.ndimage import binary_erosion
from scipy.spatial.distance import cdist

from shared.errors import UsageError
from shared.evaluation.dice import Mask
from shared.evaluation.surface_distance import (
    Spacing,
    balanced_average_hausdorff,
    hausdorff_95,
    patient_distance,
)

spacings = st.tuples(*[st.floats(0.3, 3.0)] * 3)
two_masks = st.tuples(arrays(bool, (5, 6, 4)), arrays(bool, (5, 6, 4)))
BOTH = (hausdorff_95, balanced_average_hausdorff)


def cube() -> Mask:
    mask = np.zeros((10, 10, 10), dtype=bool)
    mask[2:8, 2:8, 2:8] = True
    return mask


def far_apart(first: Mask, second: Mask, spacing: Spacing) -> tuple[float, float]:
    """Return 95HD and bAHD by all pairs of voxels."""
    edges = [np.argwhere(mask ^ binary_erosion(mask)) * spacing for mask in (first, second)]
    surface = cdist(*edges)
    hd95 = max(np.percentile(surface.min(axis=1), 95), np.percentile(surface.min(axis=0), 95))
    whole = cdist(np.argwhere(first) * spacing, np.argwhere(second) * spacing)
    return hd95, 0.5 * (whole.min(axis=1).sum() + whole.min(axis=0).sum()) / np.count_nonzero(second)


@pytest.mark.parametrize(
    ("axis", "spacing", "hd95", "bahd"),
    [
        (0, (1, 1, 1), 1.0, 1 / 6),  # a layer of 36 of 216 voxels is missed, another invented
        (0, (0.5, 0.5, 0.5), 0.5, 1 / 12),
        (2, (0.5, 0.5, 0.7), 0.7, 0.7 / 6),  # in mm along the axis it was shifted
    ],
)
def test_a_cube_shifted_by_a_voxel(axis: int, spacing: Spacing, hd95: float, bahd: float) -> None:
    shifted = np.roll(cube(), 1, axis=axis)
    assert hausdorff_95(shifted, cube(), spacing) == pytest.approx(hd95)
    assert balanced_average_hausdorff(shifted, cube(), spacing) == pytest.approx(bahd)


def test_both_sums_are_divided_by_the_truth() -> None:
    """One invented voxel, 3 away, beside a truth of 2: ½ (0 + 3) / 2, not ½ (0/2 + 3/3)."""
    truth = np.array([1, 1, 0, 0, 0], dtype=bool)
    assert balanced_average_hausdorff(truth | (np.arange(5) == 4), truth, [1]) == pytest.approx(0.75)


@settings(max_examples=30, deadline=None)
@given(two_masks, spacings)
def test_same_as_brute_force(masks: tuple[Mask, Mask], spacing: Spacing) -> None:
    assume(masks[0].any() and masks[1].any())
    found = [measure(*masks, spacing) for measure in BOTH]
    assert found == pytest.approx(far_apart(*masks, spacing), abs=1e-9)


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")  # MONAI 1.6 warns of its own call
@settings(max_examples=10, deadline=None)
@given(two_masks, spacings)
def test_95hd_is_that_of_the_library(masks: tuple[Mask, Mask], spacing: Spacing) -> None:
    assume(masks[0].any() and masks[1].any())
    ours, theirs = (torch.from_numpy(mask.astype(np.float32))[None, None] for mask in masks)
    expected = compute_hausdorff_distance(
        ours, theirs, include_background=True, percentile=95, spacing=list(spacing)
    )
    assert hausdorff_95(*masks, spacing) == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("measure", BOTH)
def test_images_are_as_good_as_volumes(measure: object) -> None:
    assert callable(measure)
    flat, other = cube()[5], np.roll(cube()[5], 1, axis=1)
    assert measure(other, flat, (1, 1)) == pytest.approx(far_apart(other, flat, (1, 1))[BOTH.index(measure)])


@pytest.mark.parametrize("measure", BOTH)
def test_empty_masks_agree_or_are_as_wrong_as_can_be(measure: object) -> None:
    assert callable(measure)
    nothing, spacing = np.zeros((10, 10, 10), dtype=bool), (1, 2, 2)
    assert measure(nothing, nothing, spacing) == 0
    for pair in ((nothing, cube()), (cube(), nothing)):
        assert measure(*pair, spacing) == pytest.approx(math.sqrt(100 + 400 + 400))


@pytest.mark.parametrize("measure", BOTH)
@pytest.mark.parametrize(("shape", "spacing"), [((10, 10, 9), (1, 1, 1)), ((10, 10, 10), (1, 1))])
def test_what_does_not_fit_is_refused(measure: object, shape: tuple[int, ...], spacing: Spacing) -> None:
    assert callable(measure)
    with pytest.raises(UsageError, match="a voxel edge for each axis"):
        measure(np.ones(shape, dtype=bool), cube(), spacing)


def test_a_patients_sessions_are_averaged_inside_the_brain() -> None:
    far = cube()
    far[0, 0, 0] = True  # outside the brain
    brain = np.ones_like(far)
    brain[0] = False
    found = patient_distance(
        hausdorff_95, [np.roll(cube(), 1, 0), far], [cube()] * 2, [brain] * 2, [(1, 1, 1), (1, 1, 1)]
    )
    assert found == pytest.approx(0.5)
