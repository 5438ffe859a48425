"""Guarantees of the public vessel simulator."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from shared.imaging.patches import Patches
from shared.phantoms.vessels import LOG_HIGH, LOG_LOW, NAMES, draw_parameters, simulate, simulate_3d


def test_parameters_fill_their_ranges() -> None:
    logs = np.log(draw_parameters(500, np.random.default_rng(0)))
    assert logs.shape == (500, len(NAMES))
    share = (logs - LOG_LOW) / (LOG_HIGH - LOG_LOW)
    assert share.min() >= 0
    assert share.max() <= 1
    np.testing.assert_allclose(share.mean(axis=0), 0.5, atol=0.06)


@pytest.mark.parametrize(("patches", "size"), [(0, 64), (1, 32), (5, 64), (20, 48), (2, 96)])
def test_patches_keep_the_conventions(patches: int, size: int) -> None:
    rng = np.random.default_rng(1)
    made = simulate(draw_parameters(1, rng)[0], patches, size, rng)
    assert made.shape == (patches, 2, size, size)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert np.all(np.abs(made[:, 0]) <= 1)
    assert set(np.unique(made[:, 1])) <= {-1.0, 1.0}


def test_half_the_patches_are_centred_on_an_artery() -> None:
    rng = np.random.default_rng(2)
    made = np.stack([simulate(theta, 8, 64, rng) for theta in draw_parameters(30, rng)])
    on_artery = (made[:, :, 1, 32, 32] > 0).sum(axis=1)  # of 8
    outlined = (made[:, :, 1] > 0).any(axis=(1, 2, 3))
    assert outlined.mean() > 0.9  # in a few every vessel is thinner than what an annotator outlines
    assert np.mean(on_artery[outlined] >= 4) > 0.9
    assert on_artery.mean() < 6


def test_arteries_are_brighter_than_what_is_around() -> None:
    rng = np.random.default_rng(3)
    brighter = []
    for theta in draw_parameters(20, rng):
        image, label = np.moveaxis(simulate(theta, 8, 64, rng), 1, 0)
        if (label > 0).any():
            brighter.append(image[label > 0].mean() > image[label < 0].mean())
    assert np.mean(brighter) > 0.9


def test_extreme_parameters_are_drawn_too() -> None:
    for corner in (LOG_LOW, LOG_HIGH):
        assert np.isfinite(simulate(np.exp(corner), 16, 64, np.random.default_rng(4))).all()


def vessel_share(patches: Patches) -> float:
    return float(np.mean(patches[:, 1] > 0))


def median_level(patches: Patches) -> float:
    return float(np.median(patches[:, 0]))


def roughness(patches: Patches) -> float:
    return float(np.abs(np.diff(patches[:, 0], n=2, axis=1)).mean())


@pytest.mark.parametrize(
    ("name", "measure"),
    [("calibre", vessel_share), ("trunks", vessel_share), ("tissue", median_level), ("noise", roughness)],
)
def test_a_parameter_changes_what_it_is_named_for(name: str, measure: Callable[[Patches], float]) -> None:
    rng = np.random.default_rng(5)
    low, high = np.exp(0.5 * (LOG_LOW + LOG_HIGH)), np.exp(0.5 * (LOG_LOW + LOG_HIGH))
    number = NAMES.index(name)
    low[number], high[number] = np.exp(LOG_LOW[number]), np.exp(LOG_HIGH[number])
    values = [np.mean([measure(simulate(theta, 16, 64, rng)) for _ in range(3)]) for theta in (low, high)]
    assert values[1] > 1.2 * abs(values[0]) or values[1] > values[0] + 0.2


def test_the_same_seed_gives_the_same_phantom() -> None:
    theta = draw_parameters(1, np.random.default_rng(6))[0]
    first, second = (simulate(theta, 4, 64, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_phantom_is_cheap() -> None:
    rng = np.random.default_rng(8)
    thetas = draw_parameters(10, rng)
    start = time.thread_time()
    for theta in thetas:
        simulate(theta, 16, 64, rng)
    assert (time.thread_time() - start) / len(thetas) < 0.2  # processor seconds; 0.03 on a machine at rest


VOLUME = (32, 24, 16)


@pytest.mark.parametrize("patches", [0, 1, 6])
def test_volumes_keep_the_conventions(patches: int) -> None:
    rng = np.random.default_rng(9)
    made = simulate_3d(draw_parameters(1, rng)[0], patches, VOLUME, rng)
    assert made.shape == (patches, 2, *VOLUME)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert np.all(np.abs(made[:, 0]) <= 1)
    assert set(np.unique(made[:, 1])) <= {-1.0, 1.0}


def test_volumes_have_about_as_much_artery_as_patches_and_half_their_centres_on_one() -> None:
    rng = np.random.default_rng(10)
    thetas = draw_parameters(16, rng)
    solid = np.stack([simulate_3d(theta, 4, VOLUME, rng) for theta in thetas])
    flat = np.stack([simulate(theta, 6, 32, rng) for theta in thetas])
    shares = [np.median((made[:, :, 1] > 0).reshape(16, -1).mean(axis=1)) for made in (flat, solid)]
    assert shares[0] / 3 < shares[1] < shares[0] * 3
    assert np.mean((solid[:, :, 1, 16, 12, 8] > 0).sum(axis=1) >= 2) > 0.9


def test_arteries_run_through_the_slices_of_a_volume() -> None:
    """Along k as well as in-plane a voxel of an artery mostly has a neighbour: slices are no separate pictures."""
    rng = np.random.default_rng(11)
    label = np.stack([simulate_3d(theta, 4, VOLUME, rng)[:, 1] for theta in draw_parameters(8, rng)]) > 0
    for axis in (2, 3, 4):
        ahead, behind = (
            np.split(np.moveaxis(label, axis, 0), [-1])[0],
            np.split(np.moveaxis(label, axis, 0), [1])[1],
        )
        assert (ahead & behind).sum() > 0.6 * ahead.sum()


def test_the_same_seed_gives_the_same_volumes() -> None:
    theta = draw_parameters(1, np.random.default_rng(6))[0]
    first, second = (simulate_3d(theta, 2, VOLUME, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
