"""What a network sees of a series depends on the patient's curves, and on nothing of scanner, dose or timing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.errors import CohortError
from shared.imaging.perfusion.frames import BEFORE_S, BOUNDS, FRAMES, STEP_S, frames_of, resampling
from shared.imaging.perfusion.windows import MAPS, TOPS, from_window, to_window
from shared.imaging.scan import Role, Timing, Volume
from shared.phantoms.bolus import TISSUE_RELAXIVITY, Bolus, tissue_concentration, to_signal

FLOWS = np.array([20.0, 40.0, 60.0, 80.0])
BRAIN = np.ones((2, 3, 1), bool)
BRAIN[0, 0] = BRAIN[1, 2] = False
TIMING = Timing(1.5, 0.03)


def series(timing: Timing = TIMING, frames: int = 80, arrival_s: float = 20.0, dose: float = 6.0) -> Volume:
    """Return four voxels of brain (of 2 x 3 x 1) with flows from 20 to 80 ml/100 g/min; the rest is noise-like."""
    bolus = Bolus(arrival_s=arrival_s, peak=dose)
    times = timing.repetition_s * np.arange(frames, dtype=np.float64)
    agent = tissue_concentration(bolus, times, cbf=FLOWS, cbv=FLOWS / 12, delay_s=[0, 1, 2, 3])
    voxels = np.full((2, 3, 1, frames), 7.0, np.float32)
    voxels[BRAIN] = to_signal(agent, 900.0, timing.echo_s, TISSUE_RELAXIVITY)
    return voxels


def seen(voxels: Volume, timing: Timing = TIMING) -> NDArray[np.float32]:
    """Return the curves (4, `FRAMES`) of the brain."""
    return frames_of(voxels, BRAIN, timing)[BRAIN]


def test_curves_on_straight_lines_zero_before_and_the_last_frames_mean_after() -> None:
    times, curve = 2 * np.arange(6, dtype=np.float64), np.array([1.0, 3.0, 5.0, 7.0, 9.0, 11.0])
    wanted = np.array([-4.0, -0.1, 0.0, 1.0, 2.5, 10.0, 10.1, 99.0])
    np.testing.assert_allclose(curve @ resampling(times, wanted), np.array([0, 0, 1, 2, 3.5, 11, 7, 7]))


@given(
    st.floats(0.3, 5),
    st.integers(20, 100),
    st.floats(-50, 50),
)
def test_every_frame_from_the_first_on_is_a_mean_of_frames(step: float, frames: int, start: float) -> None:
    times = step * np.arange(frames, dtype=np.float64)
    wanted = start + STEP_S * np.arange(FRAMES, dtype=np.float64)
    weights = resampling(times, wanted)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=0), wanted >= 0, atol=1e-12)


def test_gain_and_bright_first_frames_change_nothing() -> None:
    plain, odd = series(), 1000 * series()
    odd[..., :1] *= 1.3
    np.testing.assert_allclose(seen(odd), seen(plain), atol=1e-5)


def test_outside_the_brain_there_is_nothing() -> None:
    assert not frames_of(series(), BRAIN, TIMING)[~BRAIN].any()


def test_the_brains_mean_peaks_at_one_and_flows_keep_their_order() -> None:
    curves = seen(series())
    assert curves.mean(axis=0).max() == pytest.approx(1, abs=0.05)
    assert (np.diff(curves.max(axis=1)) > 0).all()


@pytest.mark.parametrize("arrival_s", [12.0, 17.3, 31.1])
def test_wherever_the_bolus_comes_it_comes_to_the_same_frame(arrival_s: float) -> None:
    """What is left is where the series' own frames fell, which straight lines between them cannot know."""
    before = round(BEFORE_S / STEP_S)
    one, other = seen(series()), seen(series(arrival_s=arrival_s, frames=100))
    np.testing.assert_allclose(other[:, : before + 30], one[:, : before + 30], atol=0.12)
    mean = other.mean(axis=0)
    assert mean[before - 1] < 0.1
    assert mean[before + 1] > 0.1


@pytest.mark.parametrize(
    ("timing", "frames"), [(Timing(1.0, 0.03), 90), (Timing(2.2, 0.03), 40), (Timing(1.5, 0.045), 60)]
)
def test_time_between_frames_echo_time_and_number_of_frames_hardly_change_anything(
    timing: Timing, frames: int
) -> None:
    one, other = seen(series()), seen(series(timing, frames), timing)
    assert np.abs(other - one).mean() < 0.04
    assert np.abs(other - one).max() < 0.25


@pytest.mark.parametrize("dose", [2.0, 12.0])
def test_the_dose_hardly_changes_anything(dose: float) -> None:
    """The mean signal of a brain is not quite that of its mean concentration."""
    np.testing.assert_allclose(seen(series(dose=dose)), seen(series()), atol=0.15)


def test_what_is_far_beyond_the_mean_is_clipped() -> None:
    voxels = series()
    voxels[0, 1] = np.where(voxels[0, 1] < 890, 1e-3, voxels[0, 1])
    curves = frames_of(voxels, BRAIN, TIMING)
    assert curves.max() == BOUNDS[1]
    assert curves.min() >= BOUNDS[0]


def test_a_series_without_a_bolus_is_refused() -> None:
    flat = np.random.default_rng(0).normal(500, 5, (2, 3, 1, 60)).astype(np.float32)
    with pytest.raises(CohortError, match="bolus"):
        frames_of(flat, BRAIN, TIMING)


@pytest.mark.parametrize("role", MAPS)
def test_a_map_comes_back_from_its_window_and_is_clipped_beyond(role: Role) -> None:
    values = np.linspace(0, TOPS[role], 7, dtype=np.float32)
    assert to_window(role, values)[[0, -1]].tolist() == [-1, 1]
    np.testing.assert_allclose(from_window(role, to_window(role, values)), values, atol=1e-5)
    np.testing.assert_array_equal(to_window(role, np.array([-5, 2 * TOPS[role]], np.float32)), [-1, 1])
