"""The five maps from curves whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.imaging.perfusion.blood import Blood
from shared.imaging.perfusion.deconvolution import Deconvolution, Method
from shared.imaging.perfusion.maps import Artery, perfusion
from shared.imaging.scan import Role
from shared.phantoms.bolus import Bolus, Residue, tissue_concentration

STEP_S = 1.5
TIMES = STEP_S * np.arange(80)
BOLUS = Bolus(arrival_s=15.75)
ARTERY = Artery(BOLUS(TIMES), STEP_S)
DELAYS = np.array([-1.5, 0.0, 3.0, 6.0, 10.5])


@pytest.mark.parametrize("method", list(Method))
def test_mtt_is_volume_over_flow(method: Method) -> None:
    """Gate 5, for every method and in noise."""
    clean = tissue_concentration(BOLUS, TIMES, cbf=[5, 20, 60, 60], cbv=[1, 2, 4, 4], delay_s=[0, 5, 0, -1])
    noisy = clean + 0.01 * np.random.default_rng(2).standard_normal(clean.shape)
    found = perfusion(noisy, ARTERY, Deconvolution(method))
    assert np.allclose(found[Role.MTT] * found[Role.CBF], 60 * found[Role.CBV], rtol=1e-6)


@pytest.mark.parametrize("kind", list(Residue))
def test_volume_without_noise_is_the_truth(kind: Residue) -> None:
    """Gate 5: within 5 %, also where the bolus comes 10 s late."""
    cbv = np.array([1.0, 2.0, 4.0, 4.0])
    tissue = tissue_concentration(BOLUS, TIMES, cbf=[10, 20, 60, 60], cbv=cbv, delay_s=[0, 0, 0, 10], kind=kind)
    assert perfusion(tissue, ARTERY, Deconvolution())[Role.CBV] == pytest.approx(cbv, rel=0.05)


@pytest.mark.parametrize("method", [Method.OSVD, Method.CSVD])
@pytest.mark.parametrize("kind", [Residue.EXPONENTIAL, Residue.BOX, Residue.TRIANGULAR])
def test_tmax_follows_delay(method: Method, kind: Residue) -> None:
    """Gate 6: a second for a second, and up to 3 s more than the delay."""
    tissue = tissue_concentration(BOLUS, TIMES, cbf=60, cbv=4, delay_s=DELAYS, kind=kind)
    slope, offset = np.polyfit(DELAYS, perfusion(tissue, ARTERY, Deconvolution(method))[Role.TMAX], 1)
    assert 0.95 <= slope <= 1.05
    assert 0 <= offset <= 3


def test_ttp_follows_delay_from_the_onset() -> None:
    tissue = tissue_concentration(BOLUS, TIMES, cbf=60, cbv=4, delay_s=DELAYS)
    fine = np.arange(0, 60, 0.01)
    peak = fine[tissue_concentration(BOLUS, fine, cbf=60, cbv=4)[0].argmax()]
    assert perfusion(tissue, ARTERY, Deconvolution())[Role.TTP] == pytest.approx(
        DELAYS + peak - ARTERY.onset_s, abs=STEP_S / 3
    )


def test_the_onset_is_a_tenth_of_the_peak() -> None:
    straight = Artery(np.array([0.0, 0.0, 0.0, 5.0, 10.0, 5.0, 0.0]), 2.0)
    assert straight.onset_s == pytest.approx(2 * 2.2)


def test_an_artery_that_is_there_from_the_start_has_its_onset_there() -> None:
    assert Artery(np.array([8.0, 9.0, 10.0, 4.0]), 2.0).onset_s <= 0


@given(factor=st.floats(0.01, 100), gain=st.floats(0.01, 100))
@settings(max_examples=25, deadline=None)
def test_a_factor_changes_flow_and_volume_alone(factor: float, gain: float) -> None:
    tissue = tissue_concentration(BOLUS, TIMES, cbf=[20, 60], cbv=[2, 4], delay_s=[4, 0])
    plain = perfusion(tissue, ARTERY, Deconvolution())
    other = perfusion(factor * gain * tissue, Artery(gain * ARTERY.curve, STEP_S), Deconvolution())
    for role in (Role.CBF, Role.CBV):
        assert np.allclose(other[role], factor * plain[role], rtol=1e-9)
    for role in (Role.MTT, Role.TMAX, Role.TTP):
        assert np.allclose(other[role], plain[role], atol=1e-9)


def test_blood_scales_flow_and_volume() -> None:
    tissue = tissue_concentration(BOLUS, TIMES, cbf=60, cbv=4)
    usual, bare = (perfusion(tissue, ARTERY, Deconvolution(), blood) for blood in (Blood(), Blood(1.0, 1.0)))
    for role in (Role.CBF, Role.CBV):
        assert usual[role][0] / bare[role][0] == pytest.approx(0.733 / 1.04)


def test_a_curve_that_only_falls_has_no_volume_and_no_transit_time() -> None:
    found = perfusion(-tissue_concentration(BOLUS, TIMES, cbf=60, cbv=4), ARTERY, Deconvolution())
    assert found[Role.CBV][0] == found[Role.MTT][0] == 0
