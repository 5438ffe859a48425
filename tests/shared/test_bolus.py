"""The forward model: areas and heights that can be worked out by hand, and a convolution done on a fine grid."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.imaging.perfusion.blood import BLOOD
from shared.phantoms.bolus import (
    Bolus,
    Residue,
    residue,
    residue_spectrum,
    rician,
    tissue_concentration,
    to_signal,
)

TIMES = 1.5 * np.arange(80)
BOLUS = Bolus()
NO_TAIL = Bolus(tail=0.0)


@pytest.mark.parametrize("kind", list(Residue))
@pytest.mark.parametrize(("cbf", "cbv", "delay"), [(60, 4, 0.0), (20, 2, 3.3), (8, 2.5, -2.0)])
def test_tissue_is_the_convolution_of_artery_and_residue(
    kind: Residue, cbf: float, cbv: float, delay: float
) -> None:
    step = 0.01
    fine = np.arange(0, 118.5 + step, step)
    artery, kept = BOLUS(fine - delay), residue(kind, fine, 60 * cbv / cbf)
    trapezoid = np.convolve(artery, kept)[: len(fine)] - (artery * kept[0] + kept * artery[0]) / 2
    expected = cbf / 6000 / BLOOD.factor * step * trapezoid[::150]
    found = tissue_concentration(BOLUS, TIMES, cbf=cbf, cbv=cbv, delay_s=delay, kind=kind)[0]
    tolerance = 2e-3 if kind is Residue.BOX else 2e-5  # a box ends between two points of the grid
    assert np.abs(found - expected).max() < tolerance * expected.max()


@given(
    kind=st.sampled_from(list(Residue)),
    cbf=st.floats(20, 90),
    cbv=st.floats(1, 4),
    delay=st.floats(-5, 10),
    dispersion=st.floats(0, 3),
)
@settings(max_examples=15, deadline=None)
def test_the_area_is_the_volume_whatever_the_flow_the_delay_and_the_dispersion(
    kind: Residue, cbf: float, cbv: float, delay: float, dispersion: float
) -> None:
    times = 0.5 * np.arange(420)  # until the slowest tissue is empty
    found = tissue_concentration(
        NO_TAIL, times, cbf=cbf, cbv=cbv, delay_s=delay, dispersion_s=dispersion, kind=kind
    )[0]
    assert 100 * BLOOD.factor * found.sum() / NO_TAIL(times).sum() == pytest.approx(cbv, rel=1e-4)


@pytest.mark.parametrize("kind", list(Residue))
def test_residues_start_at_one_and_have_the_area_mtt(kind: Residue) -> None:
    fine = np.linspace(0, 200, 200_001)
    assert residue(kind, 0.0, 6.0) == 1
    assert np.trapezoid(residue(kind, fine, 6.0), fine) == pytest.approx(6.0, rel=1e-3)
    assert residue_spectrum(kind, np.zeros(1), np.array([6.0]))[0] == 6.0


def test_a_delay_of_whole_frames_moves_the_curve_by_them() -> None:
    now, later = tissue_concentration(BOLUS, TIMES, cbf=60, cbv=4, delay_s=[0, 6])
    assert np.allclose(later[4:], now[:-4], atol=1e-5 * now.max())


@pytest.mark.parametrize("dispersion", [1.5, 4.5])
def test_dispersion_delays_the_middle_of_the_curve_by_its_mean(dispersion: float) -> None:
    times = 0.5 * np.arange(420)
    sharp, smeared = tissue_concentration(NO_TAIL, times, cbf=60, cbv=4, dispersion_s=[0, dispersion])
    middles = [(times * curve).sum() / curve.sum() for curve in (sharp, smeared)]
    assert middles[1] - middles[0] == pytest.approx(dispersion, rel=1e-3)


def test_nothing_comes_before_the_bolus() -> None:
    found = tissue_concentration(BOLUS, TIMES, cbf=60, cbv=4)[0]
    assert np.abs(found[BOLUS.arrival_s >= TIMES]).max() < 1e-5 * found.max()


def test_the_first_pass_peaks_where_and_as_high_as_it_says() -> None:
    fine = np.arange(0, 60, 0.001)
    curve = Bolus(recirculation=0.0, tail=0.0)(fine)
    assert curve.max() == pytest.approx(6.0)
    assert fine[curve.argmax()] == pytest.approx(15.0 + 3 * 1.5, abs=2e-3)


def test_the_tail_is_its_share_of_the_peak() -> None:
    assert Bolus(tail=0.05)(np.array([500.0]))[0] == pytest.approx(0.05 * 6.0, rel=1e-6)


def test_signal_falls_by_the_exponential() -> None:
    assert to_signal(np.array([0.0, 0.1]), 500.0, 0.03, 95.0) == pytest.approx([500, 500 * np.exp(-0.285)])


def test_noise_is_that_of_a_magnitude() -> None:
    noise = rician(np.zeros(200_000), 3.0, np.random.default_rng(1))
    assert noise.min() >= 0
    assert noise.mean() == pytest.approx(3.0 * np.sqrt(np.pi / 2), rel=0.01)  # Rayleigh, where there is no signal
    bright = rician(np.full(200_000, 300.0), 3.0, np.random.default_rng(1))
    assert bright.std() == pytest.approx(3.0, rel=0.01)
