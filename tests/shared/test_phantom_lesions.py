"""The public lesion simulator: fit for the grid, seeded, broad and fast."""

import time

import numpy as np
import pytest
from scipy import ndimage

from shared.imaging.lesion_grid import GRID, volume_ml
from shared.imaging.scan import Volume
from shared.phantoms.lesions import VOLUME_ML, simulate_lesions


@pytest.fixture(scope="module")
def lesions() -> Volume:
    return simulate_lesions(200, np.random.default_rng(0))


def test_occupancy_is_between_nothing_and_full(lesions: Volume) -> None:
    assert lesions.shape == (200, GRID, GRID, GRID)
    assert lesions.dtype == np.float32
    assert lesions.min() == 0.0
    assert lesions.max() == 1.0
    assert all((lesion > 0.5).any() for lesion in lesions)


def test_the_generator_decides_everything() -> None:
    first, again, other = (simulate_lesions(3, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_volumes_fill_the_range(lesions: Volume) -> None:
    volumes = np.array([volume_ml(lesion) for lesion in lesions])
    assert 0.8 * VOLUME_ML[0] < volumes.min() < 6
    assert 300 < volumes.max() < 1.2 * VOLUME_ML[1]
    assert 25 < np.median(volumes) < 60


def test_lesions_are_centred(lesions: Volume) -> None:
    centres = np.array([ndimage.center_of_mass(lesion) for lesion in lesions])
    assert np.abs(np.median(centres, axis=0) - (GRID - 1) / 2).max() < 0.3
    assert np.abs(centres - (GRID - 1) / 2).max() < 3  # a lesion cut off at the border may be off a little


def test_shapes_vary(lesions: Volume) -> None:
    components = np.array([ndimage.label(lesion > 0.5)[1] for lesion in lesions])
    assert 0.3 < np.mean(components == 1) < 0.9
    assert np.mean(components > 3) > 0.05
    spread = [np.linalg.eigvalsh(np.cov(np.argwhere(lesion > 0.5).T)) for lesion in lesions]
    elongation = np.array([np.sqrt(s[2] / s[0]) for s in spread])
    assert np.quantile(elongation, 0.1) < 1.5
    assert np.quantile(elongation, 0.9) > 2.5


def test_simulation_is_fast() -> None:
    simulate_lesions(2, np.random.default_rng(0))
    start = time.process_time()
    simulate_lesions(40, np.random.default_rng(1))
    assert (time.process_time() - start) / 40 < 0.02  # seconds each; about 0.0015 on an idle core


def test_none_is_allowed() -> None:
    assert simulate_lesions(0, np.random.default_rng(0)).shape == (0, GRID, GRID, GRID)
