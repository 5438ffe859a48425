"""Movement taken away from whole patients: who was restless gains, who lay still does not lose."""

from dataclasses import replace

import numpy as np
import pytest

from shared.imaging.perfusion.alignment import align
from shared.imaging.perfusion.baseline import find_baseline
from shared.imaging.perfusion.brain import brain_mask, mean_image
from shared.imaging.perfusion.pipeline import Given, study_series
from shared.imaging.scan import Role, Scan
from simulations.hospitals.dsc import dsc_patient
from simulations.hospitals.passage import passage_of

SHAPE = (64, 64, 8)


def errors(scan: Scan) -> tuple[float, float]:
    """Return the mean error of TTP (s) inside the brain, of the series as it is and aligned."""
    series, brain = scan.volumes[Role.DSC], scan.volumes[Role.BRAIN] > 0
    found = brain_mask(mean_image(series))
    baseline = find_baseline(series[found].mean(axis=0, dtype=np.float64))
    laid, _ = align(series, np.array(scan.spacing), found, baseline)
    where, truth = brain & (scan.volumes[Role.CBF] > 0), scan.volumes[Role.TTP]
    assert scan.timing is not None
    first, second = (
        float(np.abs(study_series(each, scan.timing, None, Given(brain)).maps[Role.TTP] - truth)[where].mean())
        for each in (series, laid)
    )
    return first, second


@pytest.mark.slow
@pytest.mark.parametrize(("site", "seed"), [(0, 403), (1, 403), (3, 402)])
def test_times_to_peak_gain_where_the_head_moved_and_stay_where_it_did_not(
    monkeypatch: pytest.MonkeyPatch, site: int, seed: int
) -> None:
    def patient(*, moves: bool) -> Scan:
        monkeypatch.setattr(
            "simulations.hospitals.dsc.passage_of", lambda *args: replace(passage_of(*args), moves=moves)
        )
        return dsc_patient(seed, site, SHAPE)[0]

    before, after = errors(patient(moves=True))
    assert after < 0.6 * before
    before, after = errors(patient(moves=False))
    assert after == pytest.approx(before, abs=0.1)
