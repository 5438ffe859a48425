"""Guarantees of per-image scaling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.imaging.intensity import scale_per_image


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
