"""Guarantees of per-image scaling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.imaging.intensity import DWI_BACKGROUND, scale_dwi, scale_per_image


def test_zero_is_black_and_the_999th_permille_is_white() -> None:
    volume = np.random.default_rng(0).gamma(2.0, 50.0, (20, 20, 20))
    volume[0, 0, 0] = 0.0
    scaled = scale_per_image(volume)
    assert scaled.dtype == np.float32
    assert scaled[0, 0, 0] == -1.0
    assert 0.0005 < np.mean(scaled == 1.0) < 0.0015


@given(st.floats(0.1, 1e4))
def test_a_scanner_gain_changes_nothing(gain: float) -> None:
    volume = np.random.default_rng(1).random((6, 7, 8))
    np.testing.assert_allclose(scale_per_image(volume * gain), scale_per_image(volume), atol=1e-5)


@pytest.mark.parametrize("level", [-3.0, 0.0, 7.0])
def test_an_image_without_contrast_is_black(level: float) -> None:
    assert np.all(scale_per_image(np.full((4, 4, 4), level)) == -1.0)


def test_a_single_bright_voxel_still_sets_white() -> None:
    volume = np.zeros((20, 20, 20))
    volume[3, 4, 5] = 9.0
    scaled = scale_per_image(volume)
    assert scaled[3, 4, 5] == 1.0
    assert scaled.sum() == 2.0 - volume.size


@given(st.integers(0, 10_000))
def test_any_image_lands_in_the_interval(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scaled = scale_per_image(rng.normal(rng.normal(), 10 ** rng.uniform(-3, 3), (5, 5, 5)))
    assert np.isfinite(scaled).all()
    assert scaled.min() >= -1.0
    assert scaled.max() <= 1.0


def test_a_dwi_is_clipped_at_the_995th_permille_of_what_is_above_zero() -> None:
    volume = np.zeros(2000, np.float32)
    volume[1000:] = np.arange(1, 1001)
    scaled = scale_dwi(volume)
    white = np.percentile(np.arange(1, 1001), 99.5)
    assert np.sum(scaled == 1.0) == 5
    assert scaled[1500] == pytest.approx(501 / white)
    np.testing.assert_array_equal(scaled == 0, volume < DWI_BACKGROUND * white)
    np.testing.assert_array_equal(scale_dwi(volume, signed=True), scaled * 2 - 1)


@given(st.floats(0.1, 1e4))
def test_a_scanner_gain_changes_no_dwi(gain: float) -> None:
    volume = np.random.default_rng(1).gamma(2.0, 50.0, (6, 7, 8))
    np.testing.assert_allclose(scale_dwi(volume * gain), scale_dwi(volume), atol=1e-5)


@pytest.mark.parametrize(
    "volume",
    [np.full((4, 4), 7.0), np.zeros((4, 4)), np.full((4, 4), -3.0), np.full((4, 4), np.nan), np.empty((0, 4))],
)
def test_a_dwi_without_contrast_is_black(volume: NDArray[np.float64]) -> None:
    assert scale_dwi(volume).shape == volume.shape
    assert not scale_dwi(volume).any()
    assert np.all(scale_dwi(volume, signed=True) == -1.0)


def test_voxels_of_a_dwi_that_are_not_finite_are_background() -> None:
    volume = np.array([1.0, 2.0, 3.0, np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(scale_dwi(volume)[3:], 0.0)
    np.testing.assert_array_equal(scale_dwi(volume)[:3], scale_dwi(np.array([1.0, 2.0, 3.0])))
