"""Slices on a square grid: the same order, the same shape of things, labels that stay labels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.imaging.slices import from_slices, to_slices


def test_a_volume_of_the_grids_size_passes_unchanged() -> None:
    volume = np.random.default_rng(0).normal(size=(8, 8, 3)).astype(np.float32)
    slices = to_slices(volume, 8)
    np.testing.assert_array_equal(slices[1], volume[:, :, 1])
    np.testing.assert_array_equal(from_slices(slices, (8, 8, 3)), volume)


@given(st.integers(2, 20), st.integers(2, 20), st.integers(1, 3))
def test_what_is_framed_alone_comes_back_whole(i: int, j: int, k: int) -> None:
    volume = np.random.default_rng(i).normal(size=(i, j, k)).astype(np.float32)
    np.testing.assert_array_equal(from_slices(to_slices(volume, max(i, j)), (i, j, k)), volume)


def test_halving_weighs_four_pixels_by_a_triangle() -> None:
    """Pixels half a pixel from the middle of a coarse one count 3/8 along each axis, those further out 1/8."""
    volume = np.zeros((16, 16, 1), np.float32)
    volume[7, 7] = 1.0
    slices = to_slices(volume, 8)[0]
    expected = np.outer([3 / 8, 1 / 8], [3 / 8, 1 / 8])
    np.testing.assert_allclose(slices[3:5, 3:5], expected, rtol=1e-5)
    assert slices.sum() == pytest.approx(expected.sum())


@given(st.integers(4, 20), st.integers(4, 20), st.integers(4, 40))
def test_labels_stay_labels_and_a_flat_image_stays_flat(i: int, j: int, edge: int) -> None:
    labels = np.random.default_rng(j).choice([0, 7, 192], (i, j, 2))
    assert set(np.unique(to_slices(labels, edge, labels=True))) <= {0, 7, 192}
    flat = np.full((i, j, 2), 3.0, np.float32)
    np.testing.assert_allclose(from_slices(to_slices(flat, edge, around=3.0), (i, j, 2)), 3.0, rtol=1e-5)


def test_pixels_stay_square() -> None:
    """A square of a narrow volume is a square on the grid, in the middle of a frame."""
    volume = np.zeros((20, 10, 1), np.float32)
    volume[6:14, 1:9] = 1.0
    slices = to_slices(volume, 40, labels=True)[0]
    assert slices[12:28, 12:28].all()
    assert slices.sum() == 16 * 16


def test_slices_of_another_volume_are_refused() -> None:
    with pytest.raises(ValueError, match="2 slices for a volume of 3"):
        from_slices(np.zeros((2, 4, 4), np.float32), (4, 4, 3))
