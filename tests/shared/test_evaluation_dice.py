"""Dice of a patient and the paired bootstrap: hand cases and what must hold for any masks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from shared.errors import UsageError
from shared.evaluation.bootstrap import paired_difference
from shared.evaluation.dice import Mask, dice, patient_dice

two_masks = st.tuples(arrays(bool, (3, 4, 2)), arrays(bool, (3, 4, 2)))
NOTHING, EVERYTHING = np.zeros(10, dtype=bool), np.ones(10, dtype=bool)


def cube(corner: int) -> Mask:
    mask = np.zeros((10, 10, 10), dtype=bool)
    mask[corner : corner + 4, 2:6, 2:6] = True
    return mask


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [
        (cube(2), cube(2), 1.0),
        (cube(2), cube(3), 0.75),  # 3 of 4 layers overlap: 2 * 48 / (64 + 64)
        (cube(0), cube(4), 0.0),
        (NOTHING, NOTHING, 1.0),  # nothing to find, nothing found
        (EVERYTHING, NOTHING, 0.0),
        (NOTHING, EVERYTHING, 0.0),
        (EVERYTHING, np.arange(10) < 5, 2 / 3),  # 5 hits, 5 false alarms
    ],
)
def test_hand_cases(prediction: Mask, truth: Mask, expected: float) -> None:
    assert dice(prediction, truth) == pytest.approx(expected)


@given(two_masks)
def test_symmetric_and_in_range_and_one_only_for_equal_masks(masks: tuple[Mask, Mask]) -> None:
    a, b = masks
    assert dice(a, b) == dice(b, a)
    assert 0 <= dice(a, b) <= 1
    assert (dice(a, b) == 1) == np.array_equal(a, b)


@given(two_masks, arrays(bool, (3, 4, 2)))
def test_voxels_outside_do_not_count(masks: tuple[Mask, Mask], inside: Mask) -> None:
    prediction, truth = masks
    expected = patient_dice([prediction], [truth], [inside])
    assert patient_dice([prediction | ~inside], [truth & inside], [inside]) == expected


def test_sessions_are_pooled_not_averaged() -> None:
    large, small = np.ones(90, dtype=bool), np.ones(10, dtype=bool)
    found = patient_dice([large, ~small], [large, small], [large, small])
    assert found == pytest.approx(2 * 90 / (90 + 100))  # the mean of the sessions' Dice would be 0.5


def test_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises(UsageError, match="one shape"):
        dice(np.ones(3, dtype=bool), np.ones((1, 3), dtype=bool))


def test_interval_of_a_constant_difference_has_no_width() -> None:
    first = np.array([[0.5, 0.7, 0.9], [0.4, 0.8, 0.9]])
    found = paired_difference(first, first - 0.1, np.random.default_rng(0))
    assert (found.estimate, found.low, found.high) == pytest.approx((0.1, 0.1, 0.1))


@pytest.mark.parametrize(("trainings", "least"), [(3, 0.85), (10, 0.89)])
def test_interval_holds_the_truth_about_as_often_as_stated(trainings: int, least: float) -> None:
    """The luck of a training shifts all patients at once: an interval over patients alone would miss it."""
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        hard = rng.normal(size=12)  # a patient is hard for both, so it must not matter
        luck = rng.normal(0, 0.02, (trainings, 1))
        first = hard + 0.2 + luck + rng.normal(0, 0.03, 12) + rng.normal(0, 0.01, (trainings, 12))
        found = paired_difference(first, np.tile(hard, (trainings, 1)), rng, resamples=400)
        hits += found.low <= 0.2 <= found.high
        assert found.high - found.low < 0.2  # unpaired it would be more than 1
    assert least < hits / 400 < 0.99


def test_unequal_patients_are_resampled() -> None:
    first = np.array([[0.9, 0.5, 0.5, 0.5]])
    found = paired_difference(first, np.full((1, 4), 0.5), np.random.default_rng(0))
    assert (found.estimate, found.low) == pytest.approx((0.1, 0.0), abs=0.02)
    assert found.high > 0.2


@pytest.mark.parametrize("shapes", [((1, 1), (1, 1)), ((1, 3), (1, 2)), ((3,), (3,))])
def test_interval_refuses_what_it_cannot_pair(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(UsageError, match="two or more"):
        paired_difference(np.zeros(shapes[0]), np.zeros(shapes[1]), np.random.default_rng(0))
