"""Deconvolution: the same as the matrix it stands for, and flows that are those of the forward model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.linalg import circulant, svd

from shared.imaging.perfusion.deconvolution import Deconvolution, Method, Operator, oscillation
from shared.imaging.perfusion.maps import Artery, perfusion
from shared.imaging.scan import Role
from shared.phantoms.bolus import Bolus, Residue, tissue_concentration

Curves = NDArray[np.float64]

STEP_S = 1.5
TIMES = STEP_S * np.arange(80)
BOLUS = Bolus(arrival_s=15.75)
WEIGHTS = {Operator.LINEAR: (1 / 6, 4 / 6, 1 / 6), Operator.RECTANGULAR: (0.0, 1.0, 0.0)}


def flows(
    how: Deconvolution, cbf: float, cbv: float, delay_s: list[float], kind: Residue, sigma: float = 0.0
) -> Curves:
    """Return CBF for each delay; with noise of deviation `sigma`, of about a curve's peak, the mean of 40."""
    clean = tissue_concentration(BOLUS, TIMES, cbf=cbf, cbv=cbv, delay_s=delay_s, kind=kind)
    many = np.repeat(clean, 40 if sigma else 1, axis=0)
    many = many + 0.2 * sigma * np.random.default_rng(5).standard_normal(many.shape)
    flow = perfusion(many, Artery(BOLUS(TIMES), STEP_S), how)[Role.CBF]
    return np.asarray(np.mean(flow.reshape(len(delay_s), -1), axis=1))


@pytest.mark.parametrize("operator", list(Operator))
@pytest.mark.parametrize("limit", [0.02, 0.1, 0.3])
def test_csvd_is_the_truncated_svd_of_the_circulant_matrix(operator: Operator, limit: float) -> None:
    """Gate 1: to 1e-9 of the explicit matrix of twice the length."""
    noise = np.random.default_rng(3).standard_normal((5, 80))
    tissue = tissue_concentration(BOLUS, TIMES, cbf=[5, 20, 40, 60, 80], cbv=3, delay_s=2.0) + 0.005 * noise
    artery = np.pad(BOLUS(TIMES), (0, 80))
    before, at, after = WEIGHTS[operator]
    column = before * np.roll(artery, 1) + at * artery + after * np.roll(artery, -1)
    left, values, right = svd(STEP_S * circulant(column))
    kept = values >= limit * values[0]
    expected = np.pad(tissue, ((0, 0), (0, 80))) @ left[:, kept] / values[kept] @ right[kept]
    found = Deconvolution(Method.CSVD, operator, limit).residues(tissue, artery[:80], STEP_S)
    assert np.abs(found - expected).max() < 1e-9 * np.abs(expected).max()


def test_osvd_takes_the_lowest_threshold_that_does_not_oscillate() -> None:
    noise = np.random.default_rng(4).standard_normal((6, 80))
    tissue = tissue_concentration(BOLUS, TIMES, cbf=[5, 20, 30, 40, 60, 80], cbv=3) + 0.005 * noise
    artery = BOLUS(TIMES)
    found = Deconvolution().residues(tissue, artery, STEP_S)
    for row, expected in zip(tissue, found, strict=True):
        for level in np.arange(100) / 100:
            tried = Deconvolution(Method.CSVD, limit=level).residues(row[None], artery, STEP_S)
            if oscillation(tried)[0] < 0.035:
                break
        assert level > 0  # else the test would show nothing
        assert np.allclose(tried[0], expected, atol=1e-12)


def test_the_oscillation_index_of_a_tooth() -> None:
    tooth = np.array([0, 0, 2, 0, 0, 0, 0, 0.0])
    everywhere = np.stack([np.roll(tooth, shift) for shift in range(8)])  # on a circle
    assert oscillation(everywhere) == pytest.approx((2 + 4 + 2) / (8 * 2))


@pytest.mark.parametrize("kind", [Residue.EXPONENTIAL, Residue.TRIANGULAR, Residue.BOX])
@pytest.mark.parametrize("sigma", [0.0, 0.04])
def test_flow_does_not_depend_on_delay_except_with_ssvd(kind: Residue, sigma: float) -> None:
    """Gate 2, with delays of whole frames: those between are sampled differently.

    With ssvd flow has fallen already where tissue is no earlier than its artery.
    """
    changes = {}
    for method in Method:
        found = [flows(Deconvolution(method), cbf, 4, [0.0, 4.5, -3.0], kind, sigma) for cbf in range(10, 71, 10)]
        now, later, earlier = np.array(found).T
        changes[method] = max(np.abs(later - now).mean(), np.abs(later - earlier).mean())
        if method is not Method.SSVD:
            assert np.allclose(earlier, now, rtol=0.1)
    assert changes[Method.OSVD] <= 1.5
    assert changes[Method.CSVD] <= 1.5
    assert changes[Method.SSVD] > 4


def test_flow_without_noise_is_near_the_truth() -> None:
    """Gate 3: white and grey matter to a tenth, at TR 1.5 s."""
    white, grey = (flows(Deconvolution(), cbf, cbv, [0.0], Residue.EXPONENTIAL) for cbf, cbv in ((20, 2), (60, 4)))
    assert white[0] == pytest.approx(20, rel=0.1)
    assert grey[0] == pytest.approx(60, rel=0.1)


@given(
    factor=st.floats(1e-3, 1e3),
    shift=st.integers(-8, 30),
    method=st.sampled_from([Method.OSVD, Method.CSVD]),
    cbf=st.floats(5, 90),
)
@settings(max_examples=30, deadline=None)
def test_a_later_and_stronger_curve_gives_a_later_and_stronger_residue(
    factor: float, shift: int, method: Method, cbf: float
) -> None:
    bolus = Bolus(tail=0.0, recirculation=0.0)
    tissue = tissue_concentration(bolus, TIMES, cbf=cbf, cbv=3)
    tissue[np.abs(tissue) < 1e-3 * tissue.max()] = 0
    room = np.pad(tissue, ((0, 0), (40, 40)))
    how = Deconvolution(method)
    now = how.residues(room, np.pad(bolus(TIMES), (40, 40)), STEP_S)
    later = how.residues(factor * np.roll(room, shift, axis=1), np.pad(bolus(TIMES), (40, 40)), STEP_S)
    assert np.allclose(later, factor * np.roll(now, shift, axis=1), atol=1e-9 * factor * now.max())


def test_single_precision_gives_the_same_to_single_precision() -> None:
    tissue = tissue_concentration(BOLUS, TIMES, cbf=[20, 60], cbv=4)
    double = Deconvolution(Method.CSVD).residues(tissue, BOLUS(TIMES), STEP_S)
    single = Deconvolution(Method.CSVD).residues(tissue.astype(np.float32), BOLUS(TIMES), STEP_S)
    assert single.dtype == np.float32
    assert np.allclose(single, double, atol=1e-5 * double.max())


def test_an_empty_curve_has_no_flow() -> None:
    assert not Deconvolution().residues(np.zeros((2, 80)), BOLUS(TIMES), STEP_S).any()
