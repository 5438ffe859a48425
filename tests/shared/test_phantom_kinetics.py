"""Guarantees of the curves and maps that phantoms share: maps are those of the curves, whatever is rounded."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.errors import UsageError
from shared.imaging.perfusion.blood import BLOOD
from shared.phantoms.bolus import Bolus, Residue, residue, tissue_concentration
from shared.phantoms.kinetics import Flow, residue_peak, tissue

TIMES = np.arange(0, 200, 0.5)
DISPERSED = (Residue.EXPONENTIAL, Residue.TRIANGULAR)


def voxels(n: int, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    drawn = {"cbf": rng.uniform(3, 80, n), "mtt": rng.uniform(2, 24, n), "delay_s": rng.uniform(-2, 10, n)}
    return {name: values.astype(np.float32) for name, values in drawn.items()}


@pytest.mark.parametrize("kind", [Residue.EXPONENTIAL, Residue.BOX, Residue.TRIANGULAR])
def test_curves_are_those_of_the_maps(kind: Residue) -> None:
    """A curve made anew from each voxel's own map values is the curve that was shared."""
    flow = Flow(Bolus(), kind, dispersion=0.0)
    curves, maps = tissue(flow, TIMES, **voxels(40))
    again = tissue_concentration(Bolus(), TIMES, cbf=maps.cbf, cbv=maps.cbv, delay_s=maps.tmax, kind=kind)
    np.testing.assert_allclose(curves, again, atol=2e-5 * again.max())


def test_maps_are_what_was_asked_for_but_for_a_step() -> None:
    asked = voxels(200)
    _, maps = tissue(Flow(Bolus(), Residue.BOX, 0.0), TIMES, **asked)
    np.testing.assert_array_equal(maps.cbf, asked["cbf"])
    np.testing.assert_allclose(maps.mtt, asked["mtt"], rtol=0.0101)
    np.testing.assert_allclose(maps.tmax, asked["delay_s"], atol=0.0501)
    np.testing.assert_allclose(maps.mtt, 60 * maps.cbv / maps.cbf, rtol=1e-6)


@pytest.mark.parametrize("dispersion", [0.0, 0.4])
def test_the_area_under_a_curve_is_its_blood_volume(dispersion: float) -> None:
    bolus = Bolus(recirculation=0.2, tail=0.0)
    times = np.arange(0, 400, 0.25)
    curves, maps = tissue(Flow(bolus, Residue.EXPONENTIAL, dispersion), times, **voxels(50))
    share = curves.sum(axis=1) / bolus(times).sum() * BLOOD.factor * 100
    np.testing.assert_allclose(share, maps.cbv, rtol=5e-3)


def test_tissue_without_flow_has_no_tracer() -> None:
    asked = voxels(5)
    asked["cbf"][2] = 0
    curves, maps = tissue(Flow(Bolus(), Residue.EXPONENTIAL, 0.1), TIMES, **asked)
    assert not curves[2].any()
    assert maps.cbf[2] == maps.cbv[2] == 0


@settings(deadline=None, max_examples=30)
@given(kind=st.sampled_from(DISPERSED), mtt=st.floats(2, 20), theta=st.floats(0.1, 5))
def test_a_dispersed_residue_peaks_where_the_formula_says(kind: Residue, mtt: float, theta: float) -> None:
    step = 0.01
    times = np.arange(0, 60, step)
    dispersal = np.exp(-times / theta) / theta
    curve = np.convolve(residue(kind, times, mtt), dispersal)[: len(times)]
    found = residue_peak(kind, np.array([mtt]), np.array([theta]))
    assert found[0] == pytest.approx(times[curve.argmax()], abs=5 * step)


def test_equal_transit_and_dispersion_peak_at_the_transit_time() -> None:
    assert residue_peak(Residue.EXPONENTIAL, np.array([4.0]), np.array([4.0]))[0] == pytest.approx(4.0, rel=1e-4)


def test_a_residue_that_is_not_dispersed_peaks_at_the_delay() -> None:
    _, maps = tissue(Flow(Bolus(), Residue.EXPONENTIAL, 0.0), TIMES, **voxels(20))
    assert np.abs(maps.tmax - voxels(20)["delay_s"]).max() < 0.051
    _, late = tissue(Flow(Bolus(), Residue.EXPONENTIAL, 0.4), TIMES, **voxels(20))
    delayed = maps.tmax > 0
    assert (late.tmax[delayed] > maps.tmax[delayed]).all()
    assert np.array_equal(late.tmax[~delayed], maps.tmax[~delayed])


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 1000), dispersion=st.floats(0, 0.5))
def test_ttp_is_the_time_of_the_curves_peak_after_the_bolus_came(seed: int, dispersion: float) -> None:
    bolus = Bolus(arrival_s=17.3)
    times = np.arange(0, 90, 0.05)
    curves, maps = tissue(Flow(bolus, Residue.TRIANGULAR, dispersion), times, **voxels(8, seed))
    np.testing.assert_allclose(maps.ttp, times[curves.argmax(axis=1)] - bolus.arrival_s, atol=0.08)


def test_a_box_that_is_dispersed_has_no_meaningful_tmax() -> None:
    with pytest.raises(UsageError, match="set the dispersion to 0"):
        tissue(Flow(Bolus(), Residue.BOX, 0.1), TIMES, **voxels(3))
    with pytest.raises(UsageError, match="no Tmax is known for a gamma residue"):
        residue_peak(Residue.GAMMA, np.array([4.0]), np.array([1.0]))
