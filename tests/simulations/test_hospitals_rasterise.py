"""Guarantees of sub-voxel rendering: the share of a voxel is a share, and volume is kept."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.hospitals.branching import line
from simulations.hospitals.grid import make_grid, smooth_noise
from simulations.hospitals.rasterise import coverage, overlap

GRID = make_grid((32, 32, 32), (1.0, 1.0, 1.0), np.zeros(3))  # 1.5 x 1.5 x 1.5 mm
TURN = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.6, 0.64, 0.48))


@settings(max_examples=30, deadline=None)
@given(radius=st.floats(0.05, 3.0), distance=st.floats(0.0, 4.0))
def test_overlap_of_discs_is_what_counting_points_finds(radius: float, distance: float) -> None:
    side = (np.arange(200) + 0.5) / 200 * 1.2 - 0.6
    x, y = np.meshgrid(side, side)
    disc = np.hypot(x, y) < np.sqrt(1 / np.pi)
    counted = (np.hypot(x - distance, y)[disc] < radius).mean()
    assert float(overlap(np.array([distance]), np.array([radius]))[0]) == pytest.approx(counted, abs=0.01)


@pytest.mark.parametrize("direction", TURN)
@pytest.mark.parametrize("radius", [0.5, 0.9, 1.6, 3.0])
def test_a_tube_keeps_its_volume_whatever_its_direction(
    radius: float, direction: tuple[float, float, float]
) -> None:
    reach = np.linspace(-1, 1, 5)[:, None] * np.array(direction)
    tube = line("tube", 16.0 * reach + 0.3, (radius, radius))
    filled, bright = coverage([tube], GRID)
    wanted = np.pi * radius**2 * 32.0 + 4 / 3 * np.pi * radius**3  # rounded ends
    assert filled.sum() * 1.5**3 == pytest.approx(wanted, rel=0.15)
    assert (filled >= 0).all()
    assert (filled <= 1).all()
    assert np.array_equal(filled, bright)


def test_branches_outside_the_field_of_view_fill_nothing() -> None:
    far = line("far", np.array([[200.0, 0, 0], [210, 0, 0], [220, 0, 0]]), (2.0, 2.0))
    assert not coverage([far], GRID)[0].any()


def test_a_smooth_field_is_fixed_to_the_head_not_to_the_voxels() -> None:
    coarse = make_grid((25, 25, 25), (1.0, 1.0, 1.0), np.zeros(3))
    moved = make_grid((25, 25, 25), (1.0, 1.0, 1.0), np.array([3.0, 0, 0]))  # by two voxels
    first = smooth_noise(np.random.default_rng(0), coarse, 10.0)
    second = smooth_noise(np.random.default_rng(0), moved, 10.0)
    assert np.allclose(first[2:], second[:-2], atol=1e-3)
    assert moved.affine[:3, 3] == pytest.approx(coarse.affine[:3, 3])  # the scanner does not know
