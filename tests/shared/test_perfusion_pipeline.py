"""The whole way on a small head: what must not change the maps, and how near the truth they are."""

from dataclasses import replace

import numpy as np
import pytest

from shared.imaging.perfusion.calibration import WHITE_MATTER_CBF, Calibration
from shared.imaging.perfusion.pipeline import Choices, Given, Study, study_series
from shared.imaging.scan import Role
from tests.perfusion import ARTERY, FLOWS, FLUID, GREY, KAPPA, LATE, VEIN, WHITE, Head, labels_of

UNSMOOTHED = Choices(smoothing_px=0.0, calibration=Calibration.KAPPA, kappa=KAPPA)
TIMES = (Role.MTT, Role.TMAX, Role.TTP)


@pytest.fixture(scope="module")
def head() -> Head:
    return Head()


@pytest.fixture(scope="module")
def study(head: Head) -> Study:
    return study_series(head.series(), head.timing, UNSMOOTHED)


def test_maps_follow_the_truth(study: Study) -> None:
    labels = labels_of()
    for role, column in ((Role.CBF, 0), (Role.CBV, 1)):
        found = [float(np.median(study.maps[role][labels == label])) for label in (WHITE, LATE, GREY)]
        known = [FLOWS[label][column] for label in (WHITE, LATE, GREY)]
        assert np.corrcoef(found, known)[0, 1] > 0.98
        assert np.allclose(found, known, rtol=0.45 if role is Role.CBF else 0.1)  # oSVD takes from high flow
    late = study.maps[Role.TMAX] > 6
    assert np.array_equal(late & (labels != FLUID), labels == LATE)


def test_the_artery_s_voxels_are_told_by_their_indices(study: Study) -> None:
    assert {int(labels_of()[voxel]) for voxel in study.voxels} == {ARTERY}


@pytest.mark.parametrize("brighter", [1.3, 0.0])
def test_a_brighter_first_frame_changes_no_map(head: Head, study: Study, brighter: float) -> None:
    """Gate 9."""
    series = head.series()
    series[..., 0] *= brighter
    other = study_series(series, head.timing, UNSMOOTHED)
    for role, values in study.maps.items():
        assert np.array_equal(other.maps[role], values)


def test_a_brighter_frame_of_the_baseline_would_change_them(head: Head, study: Study) -> None:
    """Or the test above would show nothing."""
    series = head.series()
    series[..., 5] *= 1.3
    assert not np.array_equal(study_series(series, head.timing, UNSMOOTHED).maps[Role.CBF], study.maps[Role.CBF])


@pytest.mark.parametrize("gain", [1000.0, 0.001])
def test_the_scanner_s_gain_changes_nothing(head: Head, gain: float) -> None:
    """Gate 10, with smoothing, in double precision: in single a product is rounded."""
    series = head.series().astype(np.float64)
    plain, other = (study_series(values, head.timing) for values in (series, gain * series))
    assert plain.voxels == other.voxels
    for role, values in plain.maps.items():
        assert np.allclose(other.maps[role], values, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_smoothing_takes_noise_away(head: Head, edge: float) -> None:
    choices = replace(UNSMOOTHED, smoothing_px=edge)
    clean, noisy = (
        study_series(replace(head, snr=snr).series(), head.timing, choices).maps for snr in (0.0, 50.0)
    )
    grey = labels_of() == GREY
    error = (noisy[Role.CBV] - clean[Role.CBV])[grey].std()
    assert error < 0.1 if edge else error > 0.2


def test_outside_the_brain_maps_are_zero(study: Study) -> None:
    for values in study.maps.values():
        assert values.dtype == np.float32
        assert not values[~study.brain].any()


def test_given_things_are_taken(head: Head) -> None:
    half = labels_of() > 0
    half[:, 12:] = False
    found = study_series(head.series(), head.timing, UNSMOOTHED, Given(brain=half, artery=[(6, 8, 1)]))
    assert found.voxels == [(6, 8, 1)]
    assert np.array_equal(found.brain, half)


@pytest.mark.parametrize(
    ("choices", "scale"),
    [
        (Choices(), 1.0),
        (Choices(calibration=Calibration.KAPPA, kappa=0.3), 0.3),
        (Choices(calibration=Calibration.VEIN), 1.0),  # the head's artery fills its voxels: nothing to mend
    ],
)
def test_calibration_scales_flow_and_volume_alone(
    head: Head, study: Study, choices: Choices, scale: float
) -> None:
    found = study_series(head.series(), head.timing, replace(choices, smoothing_px=0.0))
    assert found.scale == pytest.approx(scale, rel=0.05)
    for role in (Role.CBF, Role.CBV):
        assert np.allclose(found.maps[role], study.maps[role] * found.scale / KAPPA, rtol=1e-5)
    for role in TIMES:
        assert np.allclose(found.maps[role], study.maps[role], rtol=1e-5)


def test_a_vein_mends_the_artery_s_partial_volume(head: Head) -> None:
    """An artery that fills half of its voxels, beside a vein that fills its own."""
    series = head.series()
    half = replace(head, vessel=head.vessel / 2).series()
    where = labels_of() == ARTERY
    series[where] = half[where]
    assert study_series(series, head.timing, Choices(calibration=Calibration.VEIN)).scale == pytest.approx(
        0.5, rel=0.1
    )
    assert (labels_of() == VEIN).any()


def test_white_matter_has_the_flow_it_should(head: Head) -> None:
    white = labels_of() == WHITE
    choices = Choices(calibration=Calibration.WHITE_MATTER)
    found = study_series(head.series(), head.timing, choices, Given(white_matter=white))
    assert np.median(found.maps[Role.CBF][white]) == pytest.approx(WHITE_MATTER_CBF, rel=1e-3)


def test_progress_is_told_slice_by_slice(head: Head) -> None:
    told: list[tuple[int, int]] = []
    study_series(head.series(), head.timing, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
