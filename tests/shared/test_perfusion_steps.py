"""The steps before deconvolution: baseline, brain, artery, and what is warned of."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.errors import CohortError, UsageError
from shared.imaging.perfusion.artery import Vessels, find_artery, find_vein, given_artery, saturated
from shared.imaging.perfusion.baseline import Baseline, find_baseline
from shared.imaging.perfusion.brain import brain_mask
from shared.imaging.perfusion.calibration import vein_scale, white_matter_scale
from shared.imaging.perfusion.leakage import leak_ml, leaking
from shared.imaging.perfusion.mismatch import mismatch
from shared.imaging.perfusion.relaxation import noise_of, relaxation
from shared.phantoms.bolus import Bolus, tissue_concentration, to_signal
from tests.perfusion import ARTERY, GREY, RELAXIVITY, VEIN, Head, labels_of

Curve = NDArray[np.float64]


def mean_signal(arrival_s: float = 15.0, step_s: float = 1.5, frames: int = 60) -> Curve:
    times = step_s * np.arange(frames)
    tissue = tissue_concentration(Bolus(arrival_s=arrival_s), times, cbf=45, cbv=3.5, delay_s=1.0)
    return np.asarray(to_signal(tissue, 300.0, 0.03, RELAXIVITY)[0])


@given(arrival=st.floats(9, 25), step=st.floats(1.0, 2.0), noise=st.floats(0, 1), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_the_baseline_ends_when_the_bolus_comes(arrival: float, step: float, noise: float, seed: int) -> None:
    mean = mean_signal(arrival, step) + noise * np.random.default_rng(seed).standard_normal(60)
    found = find_baseline(mean)
    assert found.first == 1
    assert arrival - 3 * step <= step * found.end <= arrival + 3 * step


@pytest.mark.parametrize("bright", [[1.3], [1.4, 1.1], [1.3, 1.08, 1.03], [0.8, 0.95]])
def test_frames_that_are_not_steady_are_left_out(bright: list[float]) -> None:
    mean = mean_signal()
    mean[: len(bright)] *= bright
    assert find_baseline(mean).first == len(bright)


def test_how_many_frames_are_skipped_can_be_said() -> None:
    assert find_baseline(mean_signal(), skip=4).first == 4
    assert find_baseline(mean_signal(), skip=0).first == 0
    with pytest.raises(CohortError, match="skip fewer"):
        find_baseline(mean_signal(), skip=60)


@pytest.mark.parametrize(
    "mean",
    [
        np.full(60, 300.0),
        300 + np.random.default_rng(1).standard_normal(60),
        np.linspace(300, 200, 60),
        np.linspace(200, 300, 60),
        np.r_[np.full(30, 300.0), np.full(30, 150.0)],
    ],
    ids=["flat", "noise", "falling", "rising", "a step"],
)
def test_a_series_without_a_bolus_is_refused(mean: Curve) -> None:
    with pytest.raises(CohortError, match=r"no bolus: .* is this the perfusion series"):
        find_baseline(mean)


def test_a_bolus_that_comes_at_once_is_refused() -> None:
    with pytest.raises(CohortError, match=r"steady frames before the bolus.*give the whole series"):
        find_baseline(mean_signal()[9:])


@given(gain=st.floats(1e-3, 1e3))
def test_relaxation_does_not_depend_on_gain(gain: float) -> None:
    signal, baseline = np.array([[9.0, 5.0, 5.1, 4.9, 2.0, 3.0]]), Baseline(1, 4, 0.6)
    assert np.allclose(relaxation(gain * signal, baseline, 0.03), relaxation(signal, baseline, 0.03), atol=1e-12)


def test_relaxation_is_the_logarithm_over_the_echo_time() -> None:
    signal = np.array([[9.0, 2.0, 2.0, 2.0, 1.0, 2.0]])
    assert relaxation(signal, Baseline(1, 4, 0.5), 0.02)[0] == pytest.approx([0, 0, 0, 0, np.log(2) / 0.02, 0])


def test_a_signal_of_nothing_is_finite() -> None:
    signal = np.array([[0.0] * 6, [1.0, 1.0, 1.0, 0.0, 0.0, 1.0]])
    rate = relaxation(signal, Baseline(1, 3, 0.5), 0.02)
    assert np.isfinite(rate).all()
    assert not rate[0].any()


def test_the_brain_is_found_and_its_fluid_filled() -> None:
    labels = labels_of()
    for snr in (20.0, 100.0):
        assert np.array_equal(brain_mask(Head(snr=snr).series()[..., 1:].mean(axis=3)), labels > 0)


@pytest.mark.parametrize("image", [np.zeros((9, 9, 3), np.float32), np.eye(9, dtype=np.float32)[:, :, None]])
def test_no_brain_is_refused(image: NDArray[np.float32]) -> None:
    with pytest.raises(CohortError, match=r"no brain is found.*give a mask"):
        brain_mask(image)


def vessels(head: Head) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int_]]:
    """Return ΔR2* of the head's voxels (n, t), which are not saturated, and their labels (n,)."""
    inside = labels_of() > 0
    signal = head.series()[inside]
    baseline = find_baseline(signal.mean(axis=0, dtype=np.float64))
    clear = ~saturated(signal, baseline, noise_of(signal, baseline))
    return relaxation(signal, baseline, head.timing.echo_s), clear, labels_of()[inside]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("snr", [20.0, 100.0])
def test_the_artery_is_found_and_has_its_shape(snr: float, seed: int) -> None:
    head = Head(snr=snr, seed=seed)
    rate, clear, labels = vessels(head)
    rows = find_artery(rate, clear)
    assert len(rows) == 8
    assert (labels[rows] == ARTERY).mean() >= 0.9
    assert np.corrcoef(rate[rows].mean(axis=0), head.bolus(head.times))[0, 1] >= 0.98


def test_the_vein_is_found() -> None:
    rate, clear, labels = vessels(Head())
    assert (labels[find_vein(rate, clear)] == VEIN).all()


def test_an_artery_that_is_saturated_is_not_taken() -> None:
    rate, clear, _ = vessels(Head(vessel=0.4 * RELAXIVITY))
    with pytest.raises(CohortError, match=r"no artery is found.*\d+ voxels are saturated.*--aif I J K"):
        find_artery(rate, clear)


def test_the_width_is_that_at_half_the_height_whatever_stays_in_the_blood() -> None:
    """By hand, on means of three frames: 0, 10/3, 20/3, 10, 10, 10, and 20/3, 10/3, 0 or 8, 6, 4."""
    tooth = np.array([0, 0, 0, 0, 10, 10, 10, 10, 10, 0, 0, 0, 0, 0, 0, 0.0])
    staying = np.where(np.arange(16) > 8, 4.0, tooth)
    for curve in (tooth, staying):
        found = Vessels.of(curve[None])
        assert (found.height[0], found.rise[0]) == (10.0, 2.5)
    assert Vessels.of(tooth[None]).width[0] == pytest.approx(5.0)
    assert Vessels.of(staying[None]).width[0] == pytest.approx(6.0)


def test_a_curve_that_never_falls_is_as_wide_as_the_series() -> None:
    assert Vessels.of(np.repeat([0.0, 9.0], [4, 12])[None]).width[0] == pytest.approx(13 - 2.5)


def test_a_refusal_says_by_how_much() -> None:
    """Some tissue comes early, and is hardly taller than the brain as a whole."""
    rate, clear, labels = vessels(Head())
    early = (labels == GREY) & (np.arange(len(labels)) % 9 == 0)
    kept = labels != ARTERY
    rate[early] = 1.3 * np.roll(rate[kept].mean(axis=0), -2)
    with pytest.raises(
        CohortError, match=r"1\.\d\d times as tall .* an artery's 1\.5 or more and 0\.9 or less; look"
    ):
        find_artery(rate[kept], clear[kept])


def test_a_head_without_arteries_is_refused() -> None:
    rate, clear, labels = vessels(Head())
    kept = labels != ARTERY
    with pytest.raises(CohortError, match="no artery is found"):
        find_artery(rate[kept], clear[kept])


def test_given_voxels_are_those_taken() -> None:
    rate, clear, _ = vessels(Head())
    inside, voxels = labels_of() > 0, [(7, 8, 2), (6, 9, 0)]
    rows = given_artery(voxels, inside, rate, clear)
    assert [tuple(voxel) for voxel in np.argwhere(inside)[rows]] == voxels


@pytest.mark.parametrize(
    ("voxel", "why"),
    [
        ((0, 0, 0), "outside the brain"),
        ((24, 3, 1), "outside the image"),
        ((-1, 3, 1), "outside the image"),
        ((12, 12, 1), "less tracer than the brain's mean"),
    ],
)
def test_given_voxels_of_no_artery_are_refused(voxel: tuple[int, int, int], why: str) -> None:
    rate, clear, _ = vessels(Head())
    with pytest.raises(UsageError, match=why):
        given_artery([voxel], labels_of() > 0, rate, clear)


def test_given_voxels_that_are_all_saturated_are_refused() -> None:
    rate, clear, _ = vessels(Head())
    with pytest.raises(UsageError, match="falls to the noise"):
        given_artery([(7, 8, 2)], labels_of() > 0, rate, np.zeros_like(clear))


def test_calibration_by_hand() -> None:
    assert white_matter_scale(np.array([200.0, 220.0, 240.0])) == pytest.approx(0.1)
    assert vein_scale(np.array([0, 2.0, 1.0]), np.array([1.0, 3.0, 2.0])) == pytest.approx(0.5)
    assert vein_scale(np.array([9.0]), np.array([3.0])) == 1  # an artery is never made smaller than it was seen
    with pytest.raises(UsageError, match="white-matter mask"):
        white_matter_scale(np.zeros(0))


def test_leaks_are_told_from_blood() -> None:
    times = 1.5 * np.arange(60)
    blood = tissue_concentration(Bolus(), times, cbf=60, cbv=4)[0] * RELAXIVITY
    leaked = np.clip(times - 20, 0, None) / 70 * blood.max()
    noise = 0.3 * np.random.default_rng(1).standard_normal((200, 60))
    curves = np.stack([blood, blood - 0.6 * leaked, blood + leaked])
    assert leaking(curves).tolist() == [False, True, True]
    assert leaking(blood + noise).mean() < 0.01
    assert leaking(noise).mean() < 0.01


def test_only_leaks_in_one_piece_count() -> None:
    leaks = np.zeros((10, 10, 4), bool)
    leaks[2:5, 2:5, 1] = leaks[8, 8, 3] = True
    assert leak_ml(leaks, voxel_ml=0.1) == pytest.approx(0.9)


def test_the_read_out_by_hand() -> None:
    tmax = np.zeros((10, 10, 2), np.float32)
    tmax[:, :5] = 7.0
    tmax[:, :2] = 11.0
    tmax[:, 9] = 20.0  # no bolus is seen there
    seen = np.ones(tmax.shape, bool)
    seen[:, 9] = False
    core = np.zeros(tmax.shape, bool)
    core[:5, :2] = True
    found = mismatch(tmax, seen, 0.5, core)
    assert found.late_ml == {4: 50.0, 6: 50.0, 8: 20.0, 10: 20.0}
    assert found.hypoperfusion_intensity_ratio == 0.4
    assert (found.core_ml, found.volume_ml, found.ratio, found.defuse_3) == (10.0, 40.0, 5.0, True)


@pytest.mark.parametrize(
    ("late_ml", "core_ml", "meets"),
    [(100, 50, True), (100, 60, False), (200, 75, False), (16, 2, False), (20, 0, True)],
    ids=["meets", "ratio", "core", "volume", "no core"],
)
def test_the_trial_s_criteria(late_ml: int, core_ml: int, meets: bool) -> None:
    tmax = np.zeros((1000, 1, 1), np.float32)
    tmax[:late_ml] = 7.0
    core = np.arange(1000)[:, None, None] < core_ml
    assert mismatch(tmax, np.ones(tmax.shape, bool), 1.0, core).defuse_3 is meets


def test_without_a_core_there_is_no_mismatch() -> None:
    found = mismatch(np.zeros((2, 2, 2), np.float32), np.ones((2, 2, 2), bool), 1.0)
    nothing = (found.core_ml, found.volume_ml, found.ratio, found.defuse_3, found.hypoperfusion_intensity_ratio)
    assert nothing == (None,) * 5
