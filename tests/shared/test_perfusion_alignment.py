"""Taking a head's movement away: it is found, a bolus is not taken for it, and who lies still is left alone."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from shared.imaging.perfusion.alignment import LEAST_SLICES, align
from shared.imaging.perfusion.baseline import Baseline, find_baseline
from shared.imaging.perfusion.brain import brain_mask, mean_image
from shared.imaging.perfusion.motion import Motion
from shared.imaging.perfusion.pipeline import Choices, study_series
from shared.imaging.perfusion.rigid import STILL, Grid, Pose, pooled
from shared.imaging.scan import Role, Volume
from tests.moving_head import EDGES, FRAMES, MovingHead
from tests.perfusion import Head

AFFINE = np.diag([*EDGES, 1.0])
JERK = 36  # the frame from which on the head lies otherwise
AFTER = 22  # the frame from which on the bolus has passed
SIX = hnp.arrays(np.float64, 6, elements=st.floats(-0.5, 0.5))

Series = NDArray[np.floating]


@pytest.fixture(scope="module")
def still() -> Series:
    return MovingHead().series()


def jerked(*six: float) -> list[Pose]:
    """Return poses of a head that is moved (mm, degrees) at `JERK` and stays there."""
    moved = Pose.small(np.r_[six[:3], np.radians(six[3:])])
    return [moved if t >= JERK else STILL for t in range(FRAMES)]


def known(series: Series) -> tuple[NDArray[np.bool_], Baseline]:
    brain = brain_mask(mean_image(series))
    return brain, find_baseline(series[brain].mean(axis=0, dtype=np.float64))


def aligned(series: Series) -> tuple[Volume, Motion]:
    return align(series, EDGES, *known(series))


@pytest.mark.parametrize(
    "six",
    [(3, -2, 4, 2, -3, 4), (0, 6, 0, 0, 0, 0), (0, 0, -5, 0, 0, 0), (0, 0, 0, 6, 0, 0), (0, 0, 0, 0, 0, 7)],
)
def test_a_known_movement_is_found(six: tuple[float, ...]) -> None:
    """To half a millimetre and half a degree, with noise; while the bolus passes, when images of contrast take
    up some of it, half of it."""
    poses = jerked(*six)
    _, motion = aligned(MovingHead(poses).series())
    error = motion.parameters(AFFINE) - Motion(poses, motion.left, flat=False).parameters(AFFINE)
    assert np.abs(error[AFTER:]).max() < 0.5
    assert np.abs(error[1:AFTER]).max() < 0.55 * np.abs(six).max()
    assert motion.notes == []


def test_what_was_moved_looks_as_if_it_had_lain_still(still: Series) -> None:
    moved = MovingHead(jerked(3, -2, 4, 2, -3, 4)).series()
    laid, _ = aligned(moved)
    brain, _ = known(still)
    before, after = (np.abs(series - still)[brain][:, JERK:].mean() for series in (moved, laid))
    assert after < before / 3


def test_a_bolus_is_not_taken_for_movement() -> None:
    series = MovingHead(noise=0).series()
    _, baseline = known(series)
    assert baseline.fall > 0.15
    _, motion = aligned(series)
    assert motion.largest_mm < 0.1
    assert motion.largest_degrees < 0.1


def test_maps_of_who_lies_still_stay(still: Series) -> None:
    laid, motion = aligned(still)
    assert motion.largest_mm < 0.2
    assert motion.largest_degrees < 0.2
    before, after = (study_series(series, Head().timing, Choices()) for series in (still, laid))
    both = before.tissue & after.tissue
    for role, tolerance in ((Role.TTP, 0.1), (Role.TMAX, 0.1), (Role.MTT, 0.1)):
        assert np.abs(after.maps[role] - before.maps[role])[both].mean() < tolerance


def test_frames_before_the_baseline_are_left_as_they_are(still: Series) -> None:
    laid, motion = aligned(still)
    assert np.array_equal(laid[..., 0], still[..., 0])
    assert motion.poses[0] is STILL
    assert not np.array_equal(laid[..., 1], still[..., 1])


@pytest.mark.parametrize("six", [(0, 20, 0, 0, 0, 0), (20, 0, 0, 0, 0, 0)])
def test_too_large_a_movement_leaves_a_note(six: tuple[float, ...]) -> None:
    _, motion = aligned(MovingHead(jerked(*six)).series())
    assert any("may not be aligned: the head moved too far" in note for note in motion.notes)


def test_few_slices_are_aligned_within_themselves_and_that_is_said() -> None:
    shape = (30, 36, LEAST_SLICES - 1)
    _, motion = aligned(MovingHead(jerked(4, -3, 0, 0, 0, 5), shape).series())
    found = motion.parameters(AFFINE)
    assert np.allclose(found[JERK:], [4, -3, 0, 0, 0, 5], atol=0.5)
    assert not found[:, 2:5].any()
    assert motion.flat
    assert any("too few slices" in note for note in motion.notes)


def test_one_slice_will_do() -> None:
    _, motion = aligned(MovingHead(jerked(4, -3, 0, 0, 0, 5), (30, 36, 1)).series())
    assert np.allclose(motion.parameters(AFFINE)[JERK:], [4, -3, 0, 0, 0, 5], atol=0.5)


def test_movement_is_told_along_the_patient_s_axes_however_the_voxels_run() -> None:
    six = (3, -2, 4, 2, -3, 4)
    series = MovingHead(jerked(*six)).series()
    turned = series[::-1].swapaxes(0, 1)
    affine = AFFINE @ np.array([[0, -1, 0, 29], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    _, motion = align(turned, np.linalg.norm(affine[:3, :3], axis=0), *known(turned))
    assert np.allclose(motion.parameters(affine)[JERK:], six, atol=0.5)
    told = motion.describe(affine)
    assert told["largest_translation_mm"] == pytest.approx(np.linalg.norm(six[:3]), abs=0.5)
    assert np.shape(told["translations_mm_and_rotations_degrees"]) == (FRAMES, 6)


@pytest.mark.parametrize("kind", [np.float64, np.int16])
def test_the_series_may_be_of_any_kind_and_comes_back_in_single_precision(
    still: Series, kind: type[np.generic]
) -> None:
    whole = still.round().astype(kind)
    laid, _ = aligned(whole)
    assert laid.dtype == np.float32
    assert np.array_equal(laid, aligned(whole.astype(np.float32))[0])


def test_memory_is_bounded() -> None:
    """At most two series more, of pixels so small that they are pooled, as of a scanner's matrix of 128."""
    fine = np.repeat(np.repeat(MovingHead().series(), 2, axis=0), 2, axis=1)
    known_of_it = known(fine)
    tracemalloc.start()
    align(fine, EDGES / (2.4, 2.4, 1), *known_of_it)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * fine.nbytes


def test_progress_is_told_up_to_the_end(still: Series) -> None:
    told: list[tuple[int, int]] = []
    align(still, EDGES, *known(still), lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == list(range(1, told[-1][1] + 1))


@given(SIX, SIX)
@settings(max_examples=30, deadline=None)
def test_poses_are_a_group(one: NDArray[np.float64], other: NDArray[np.float64]) -> None:
    a, b, y = Pose.small(one), Pose.small(other), np.array([10.0, -20.0, 30.0])
    there = a.after(b)
    assert np.allclose(there.turn @ y + there.shift, a.turn @ (b.turn @ y + b.shift) + a.shift)
    home = a.after(a.inverse())
    assert np.allclose(home.turn, np.eye(3))
    assert np.allclose(home.shift, 0)
    assert np.allclose(Pose.mean([a, a]).turn, a.turn)


@given(SIX)
@settings(max_examples=20, deadline=None)
def test_derivatives_tell_what_a_small_movement_changes(six: NDArray[np.float64]) -> None:
    """Of an image that is a ramp, so that differences are exact; to the first order in the movement."""
    grid = Grid.of((12, 10, 8), EDGES)
    everywhere = np.ones((12, 10, 8), bool)
    ramp = (np.array([1.0, -2.0, 0.5]) @ grid.points(everywhere)).reshape(12, 10, 8)
    where = np.zeros_like(everywhere)
    where[4:8, 4:6, 3:5] = True
    seen = grid.sample(ramp, grid.points(where), Pose.small(1e-3 * six))
    change = grid.derivatives(ramp, where) @ (1e-3 * six)
    assert np.allclose(seen - ramp[where], change, atol=1e-4)


def test_sampling_and_resampling_agree(still: Series) -> None:
    grid, pose = Grid.of(still.shape[:3], EDGES), Pose.small(np.array([2, -3, 1, 0.1, 0.05, -0.1]))
    frame, where = still[..., 5], known(still)[0]
    assert np.allclose(grid.resample(frame, pose)[where], grid.sample(frame, grid.points(where), pose), atol=1e-2)


def test_a_pooled_image_lies_where_the_whole_one_does() -> None:
    grid = Grid.of((13, 10, 4), EDGES)
    ramp = (np.array([1.0, -2.0, 0.5]) @ grid.points(np.ones((13, 10, 4), bool))).reshape(13, 10, 4)
    small = pooled(ramp, 2)
    coarse = grid.coarse(2)
    assert small.shape == (6, 5, 4)
    assert np.allclose(np.array([1.0, -2.0, 0.5]) @ coarse.points(np.ones(small.shape, bool)), small.ravel())
