"""Guarantees of the calibration: it finds what it was shown, keeps to the ranges, and depends on its seed only."""

import numpy as np
import pytest
from numpy.typing import NDArray

from shared.imaging.vessel_statistics import STATISTICS_DIM, histograms
from shared.phantoms.calibration import ALWAYS_KEPT, calibrate, choose, phantom_statistics
from shared.phantoms.emulator import Emulator
from shared.phantoms.fitted_simulator import FittedSimulator, patch_counts
from shared.phantoms.tilting import SMALLEST_SHARE, effective, tilt
from shared.phantoms.vessels import LOG_HIGH, LOG_LOW, NAMES, draw_parameters, simulate


def toy(n: int = 400, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(size=(n, 5))


def test_weights_move_the_mean_to_the_target() -> None:
    population, target = toy(), np.array([0.3, -0.2, 0.0, 0.1, 0.2])
    shares = tilt(population, target, 0.01, likeness=10.0)
    assert shares.min() >= 0
    assert shares.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(shares @ population, target, atol=0.02)


def test_more_noise_means_less_movement() -> None:
    population, target = toy(), np.full(5, 0.3)
    moved = [np.linalg.norm(tilt(population, target, std, 10.0) @ population) for std in (0.01, 0.5, 5.0)]
    assert moved[0] > moved[1] > moved[2]


def test_a_target_out_of_reach_does_not_collapse_the_weights() -> None:
    population = toy()
    shares = tilt(population, np.full(5, 50.0), 0.01)
    assert np.isfinite(shares).all()
    assert effective(shares) >= SMALLEST_SHARE * len(population)


def test_the_emulator_is_nearer_to_the_truth_than_the_noisy_pool() -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform(-1, 1, (300, 4))
    truth = np.stack([points[:, 0] ** 2, points[:, 1] - points[:, 2]], axis=1)
    noisy = truth + rng.normal(0, 0.3, truth.shape)
    error = Emulator.fit(points, noisy).expect(points) - truth
    assert np.sqrt(np.mean(error**2)) < 0.2


@pytest.fixture(scope="module")
def shown() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Parameters (p,) near one end of some ranges, and the mean statistics of patients who have them."""
    share = np.full(len(NAMES), 0.5)
    share[[NAMES.index(name) for name in ("tissue", "calibre")]] = 0.9
    share[[NAMES.index(name) for name in ("noise", "fat")]] = 0.1
    theta = np.exp(LOG_LOW + share * (LOG_HIGH - LOG_LOW))
    return theta, phantom_statistics(np.repeat(theta[None], 8, 0), 32, np.random.default_rng(2)).mean(axis=0)


def test_what_was_shown_is_found_again(shown: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    theta, target = shown
    fitted = calibrate(target, 0.01, np.random.default_rng(3), pool_size=80, size=32)
    centre, half = (LOG_LOW + LOG_HIGH) / 2, (LOG_HIGH - LOG_LOW) / 2
    found, wanted = (fitted.mean - centre) / half, (np.log(theta) - centre) / half
    for name, sign in (("tissue", 1), ("calibre", 1), ("noise", -1)):
        assert sign * found[NAMES.index(name)] > 0.2, name
    assert np.mean((found - wanted) ** 2) < 0.6 * np.mean(wanted**2)


def test_the_result_depends_on_the_seed_only(shown: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    told: list[float] = []
    first, second = (
        calibrate(shown[1], 0.02, np.random.default_rng(4), pool_size=10, size=32, progress=told.append)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.mean, second.mean)
    np.testing.assert_array_equal(first.covariance, second.covariance)
    np.testing.assert_array_equal(first.slope, second.slope)
    half = len(told) // 2
    assert told[half - 1] == pytest.approx(1.0)
    assert told[:half] == sorted(told[:half])


@pytest.mark.parametrize("level", [0.0, -40.0])
def test_an_absurd_release_still_gives_a_simulator(level: float) -> None:
    target = np.full(STATISTICS_DIM, level)
    fitted = calibrate(target, 0.5, np.random.default_rng(5), pool_size=8, size=16)
    assert np.isfinite(fitted.draw(20, np.random.default_rng(6))).all()
    assert np.isfinite(list(fitted.patches(8, 16, np.random.default_rng(6)))).all()


def simulator(mean: NDArray[np.float64], spread: float) -> FittedSimulator:
    """Return one that keeps every patch."""
    return FittedSimulator(mean, spread * np.eye(len(NAMES)), np.zeros(STATISTICS_DIM), 0.0)


def test_draws_keep_to_the_ranges() -> None:
    logs = np.log(simulator(LOG_HIGH, 25.0).draw(200, np.random.default_rng(7)))
    assert np.all(logs >= LOG_LOW - 1e-9)
    assert np.all(logs <= LOG_HIGH + 1e-9)


def test_draws_follow_the_fit_but_for_a_public_share() -> None:
    narrow = simulator((LOG_LOW + LOG_HIGH) / 2, 1e-6)
    logs = np.log(narrow.draw(2000, np.random.default_rng(8)))
    fitted = np.all(np.abs(logs - narrow.mean) < 0.02, axis=1)
    assert 0.75 < fitted.mean() < 0.95


@pytest.fixture(scope="module")
def drawn() -> NDArray[np.float32]:
    """Patches (n, 2, 32, 32) of public phantoms, one phantom after another."""
    rng = np.random.default_rng(9)
    return np.concatenate([simulate(theta, 6, 32, rng) for theta in draw_parameters(120, rng)])


def test_patches_are_kept_so_that_their_histograms_come_near_those_wanted(drawn: NDArray[np.float32]) -> None:
    first, second = drawn[::2], drawn[1::2]
    thin = (second[:, 1] > 0).mean(axis=(1, 2)) < 0.05
    wanted = histograms(second[thin])
    slope, ceiling = choose(patch_counts(first), wanted, tolerance=0.1)
    keeper = FittedSimulator(np.zeros(len(NAMES)), np.eye(len(NAMES)), slope, ceiling)
    kept = first[keeper.keeps(first, np.random.default_rng(10))]
    assert len(kept) > ALWAYS_KEPT * len(first)
    misfit = [np.abs(histograms(patches) - wanted).sum() for patches in (first, kept)]
    assert misfit[1] < 0.75 * misfit[0]


def test_where_patches_are_as_wanted_nearly_all_are_alike(drawn: NDArray[np.float32]) -> None:
    counted = patch_counts(drawn)
    slope, _ = choose(counted, histograms(drawn), tolerance=0.1)
    assert np.std(counted @ slope) < 0.5


def test_as_many_patches_as_asked_for_the_same_for_the_same_seed() -> None:
    middle = simulator((LOG_LOW + LOG_HIGH) / 2, 0.1)
    first, second = (np.stack(list(middle.patches(10, 32, np.random.default_rng(11)))) for _ in range(2))
    assert first.shape == (10, 2, 32, 32)
    np.testing.assert_array_equal(first, second)
