"""Maps against maps: values one can work out by hand, and what background does to the published convention."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio

from shared.evaluation.map_quality import constants, hypoperfusion, map_quality, scaled
from shared.imaging.scan import Role

WINDOW = (0.0, 20.0)
SHAPE = (24, 20, 3)


def brain() -> np.ndarray:
    inside = np.zeros(SHAPE, bool)
    inside[6:18, 5:15, :2] = True  # the last slice has none
    return inside


def truth(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(2, 18, SHAPE).astype(np.float32)


def test_a_map_against_itself_is_perfect_whatever_lies_outside_the_brain() -> None:
    other = truth()
    other[~brain()] = 1000
    found = map_quality(other, truth(), brain(), WINDOW)
    assert (found.mae, found.nrmse, found.brain_mae, found.brain_bias, found.brain_nrmse) == (0, 0, 0, 0, 0)
    assert found.ssim == found.brain_ssim == pytest.approx(1)
    assert found.psnr > 100


def test_one_second_too_much_is_one_second_inside_and_diluted_by_background_outside() -> None:
    found = map_quality(truth() + 1, truth(), brain(), WINDOW)
    share = (12 * 10) / (24 * 20)
    assert found.brain_mae == found.brain_bias == pytest.approx(1, abs=1e-5)
    assert found.mae == pytest.approx(share * 2 / 20, abs=1e-6)
    assert found.psnr == pytest.approx(10 * np.log10(4 / (share * 0.1**2)), abs=1e-3)


def test_the_published_convention_is_that_of_scikit_image() -> None:
    ours, true = truth(1), truth(0)
    found = map_quality(ours, true, brain(), WINDOW)
    slices = [[scaled(x[:, :, k], brain()[:, :, k], WINDOW) for x in (true, ours)] for k in (0, 1)]
    assert found.nrmse == pytest.approx(np.mean([normalized_root_mse(*pair) for pair in slices]))
    ratios = [peak_signal_noise_ratio(*pair, data_range=2) for pair in slices]  # type: ignore[no-untyped-call]
    assert found.psnr == pytest.approx(np.mean(ratios))


def test_a_constant_looks_better_with_the_background_than_without() -> None:
    found = map_quality(np.full(SHAPE, 10, np.float32), truth(), brain(), WINDOW)
    assert found.ssim > 0.7 > 0.6 > found.brain_ssim


@given(st.integers(0, 100), st.floats(0.1, 5))
def test_more_noise_is_never_nearer(seed: int, noise: float) -> None:
    error = np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)
    near, far = (map_quality(truth() + scale * error, truth(), brain(), WINDOW) for scale in (noise, 2 * noise))
    assert near.brain_mae < far.brain_mae
    assert near.brain_nrmse < far.brain_nrmse
    assert near.mae <= far.mae


def test_hypoperfused_tissue_is_counted_inside_the_brain_in_millilitres() -> None:
    true, found = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    true[:, :, 0] = 7
    found[:12, :, 0] = 6.5
    compared = hypoperfusion(found, true, brain(), 0.05)
    assert compared.true_ml == pytest.approx(120 * 0.05)
    assert compared.found_ml == pytest.approx(60 * 0.05)
    assert compared.dice == pytest.approx(2 * 60 / 180)
    assert hypoperfusion(found * 0, true * 0, brain(), 0.05).dice == 1


def test_the_best_constant_is_the_median() -> None:
    values = np.array([1, 2, 3, 50, 60], np.float32)
    assert constants({Role.TMAX: values}) == {Role.TMAX: 3.0}
