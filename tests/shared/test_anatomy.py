"""The vocabulary of anatomical maps: 28 labels, the lesion on top, and no label that is guessed."""

from itertools import pairwise

import numpy as np
import pytest

from shared.errors import CohortError
from shared.imaging.anatomy import (
    CLASSES,
    LESION_CLASS,
    STRUCTURES,
    Side,
    indices,
    is_fluid,
    is_parenchyma,
    one_hot,
)


def test_the_table_has_the_papers_29_classes_with_the_lesion() -> None:
    assert len(STRUCTURES) == 28
    assert CLASSES == 29
    assert STRUCTURES[0].name == "background"
    assert all(a.number < b.number for a, b in pairwise(STRUCTURES))


def test_every_left_structure_has_a_right_one_of_the_same_tissue() -> None:
    left = {(s.name.removeprefix("left "), s.tissue) for s in STRUCTURES if s.side is Side.LEFT}
    right = {(s.name.removeprefix("right "), s.tissue) for s in STRUCTURES if s.side is Side.RIGHT}
    assert left == right
    assert len(left) == 11


def test_the_lesion_overrides_the_structure_it_lies_in() -> None:
    anatomy = np.array([0.0, 2.0, 24.0, 192.0], np.float32)
    classes = indices(anatomy, np.array([0.0, 1.0, 0.0, 0.0]))
    assert [STRUCTURES[c].number for c in classes[[0, 2, 3]]] == [0, 24, 192]
    assert classes[1] == LESION_CLASS


def test_one_hot_marks_each_voxels_class_once() -> None:
    numbers = np.array([s.number for s in STRUCTURES], np.int16).reshape(4, 7)
    channels = one_hot(numbers, np.zeros((4, 7)))
    assert channels.shape == (29, 4, 7)
    assert channels.dtype == np.float32
    np.testing.assert_array_equal(channels[:28].reshape(28, 28), np.eye(28))
    assert not channels[LESION_CLASS].any()


def test_background_fluid_and_parenchyma_cover_every_label_once() -> None:
    numbers = np.array([s.number for s in STRUCTURES])
    parts = np.stack([numbers == 0, is_fluid(numbers), is_parenchyma(numbers)])
    np.testing.assert_array_equal(parts.sum(axis=0), 1)
    assert set(numbers[is_fluid(numbers)]) == {4, 14, 15, 24, 43}


@pytest.mark.parametrize("label", [1, 5, -1, 1000, 2.5, np.nan])
def test_an_unknown_label_is_named_with_the_remedy(label: float) -> None:
    anatomy = np.array([0.0, label, 2.0])
    with pytest.raises(CohortError, match=rf"{label:g}.*map it with a table"):
        indices(anatomy, np.zeros(3))


def test_lesion_and_anatomy_of_different_shapes_are_refused() -> None:
    with pytest.raises(CohortError, match="resample"):
        one_hot(np.zeros((4, 4)), np.zeros((4, 5)))
