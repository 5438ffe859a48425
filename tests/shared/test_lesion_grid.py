"""The lesion grid keeps volume, forgets place, and refuses what is no lesion."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import CohortError, UsageError
from shared.imaging.lesion_grid import GRID, GRID_MM, from_grid, to_grid, volume_ml
from shared.imaging.scan import Volume

EDGES = st.floats(0.6, 5.0)


def _ball(spacing: tuple[float, float, float], radius_mm: float) -> Volume:
    """Return a ball's mask with room around it, (n, n, n)."""
    axes = [(np.arange(64) - 31.5) * s for s in spacing]
    i, j, k = np.meshgrid(*axes, indexing="ij", sparse=True)
    return np.asarray(i**2 + j**2 + k**2 < radius_mm**2, dtype=np.float32)


@settings(max_examples=25, deadline=None)
@given(spacing=st.tuples(EDGES, EDGES, EDGES), radius=st.floats(8.0, 18.0))
def test_volume_is_kept_whatever_the_voxels(spacing: tuple[float, float, float], radius: float) -> None:
    mask = _ball(spacing, radius)
    grid = to_grid(mask, spacing)
    assert grid.shape == (GRID,) * 3
    assert grid.dtype == np.float32
    assert grid.min() >= 0
    assert grid.max() <= 1
    assert volume_ml(grid) == pytest.approx(mask.sum() * np.prod(spacing) / 1000, rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(shift=st.tuples(*[st.integers(0, 30)] * 3), seed=st.integers(0, 99))
def test_place_in_the_image_does_not_matter(shift: tuple[int, int, int], seed: int) -> None:
    lesion = np.random.default_rng(seed).random((30, 20, 10)) < 0.4
    lesion[3, 4, 5] = True
    image = np.zeros((60, 50, 40), dtype=np.float32)
    image[tuple(slice(s, s + n) for s, n in zip(shift, lesion.shape, strict=True))] = lesion
    np.testing.assert_array_equal(to_grid(image, (1, 1, 1)), to_grid(lesion, (1, 1, 1)))


def test_the_lesion_is_centred() -> None:
    mask = np.zeros((40, 40, 40), dtype=np.uint8)
    mask[2:10, 20:28, 30:38] = 1
    grid = to_grid(mask, (2.0, 2.0, 2.0))
    expected = np.zeros_like(grid)
    expected[14:18, 14:18, 14:18] = 1
    np.testing.assert_array_equal(grid, expected)


def test_what_lies_outside_the_cube_is_cut_off() -> None:
    grid = to_grid(np.ones((200, 4, 4), dtype=np.uint8), (1.0, 1.0, 1.0))
    assert volume_ml(grid) == pytest.approx(GRID * GRID_MM * 16 / 1000)


def test_there_and_back_on_the_same_cells() -> None:
    mask, affine = from_grid(to_grid(_ball((4, 4, 4), 30.0), (4, 4, 4)))
    np.testing.assert_array_equal(to_grid(mask, (4, 4, 4)), mask)
    centre = affine @ [*(np.argwhere(mask).mean(axis=0)), 1.0]
    np.testing.assert_allclose(centre[:3], 0.0, atol=1e-9)


@pytest.mark.parametrize("spacing", [2.0, 1.0])
def test_finer_voxels_keep_size_and_place(spacing: float) -> None:
    coarse = to_grid(_ball((1, 1, 1), 25.0), (1, 1, 1))
    mask, affine = from_grid(coarse, spacing_mm=spacing)
    assert mask.shape == (round(GRID * GRID_MM / spacing),) * 3
    assert mask.sum() * spacing**3 / 1000 == pytest.approx(
        volume_ml(coarse), rel=0.03
    )  # interpolation rounds a ball off
    centre = affine @ [*(np.argwhere(mask).mean(axis=0)), 1.0]
    np.testing.assert_allclose(centre[:3], 0.0, atol=0.01)


def test_an_empty_or_shapeless_mask_is_refused() -> None:
    with pytest.raises(CohortError, match="empty"):
        to_grid(np.zeros((5, 5, 5), dtype=np.float32), (1, 1, 1))
    with pytest.raises(CohortError, match="3D"):
        to_grid(np.ones((5, 5), dtype=np.float32), (1, 1, 1))
    with pytest.raises(UsageError):
        from_grid(np.zeros((GRID,) * 3, dtype=np.float32), spacing_mm=3.0)
