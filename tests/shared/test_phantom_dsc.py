"""Guarantees of the public phantoms of perfusion series."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.imaging.scan import Role, Scan
from shared.phantoms import anatomy, bloodflow, bolus_imaging, dsc
from shared.phantoms.bloodflow import MTT_S
from shared.phantoms.dsc import LOG_HIGH, LOG_LOW, NAMES, RANGES, draw_parameters, simulate_dsc, simulate_patients

SMALL = (24, 24, 4)
MEDIUM = (48, 48, 10)
MAPS = (Role.CBF, Role.CBV, Role.MTT, Role.TMAX, Role.TTP)


def textbook(changed: dict[str, float]) -> NDArray[np.float64]:
    """Return the middle of every range, with next to no tilt, bending, noise or unevenness."""
    p = dict(zip(NAMES, np.exp((LOG_LOW + LOG_HIGH) / 2).tolist(), strict=True))
    p |= dict.fromkeys(("tilt", "shift", "warp", "aspect", "variety", "unevenness", "contrast", "shading"), 1e-3)
    p |= {"snr": 1e4, "blur": 0.01, "arteries": 1e-3, "veins": 1e-3} | changed
    return np.array([p[name] for name in NAMES])


def simulated(changed: dict[str, float], shape: tuple[int, int, int] = SMALL, seed: int = 0) -> Scan:
    return simulate_dsc(textbook(changed), shape, np.random.default_rng(seed))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_any_draw_is_a_whole_session(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scan = simulate_dsc(draw_parameters(1, rng)[0], SMALL, rng)
    assert set(scan.volumes) == {Role.DSC, Role.BRAIN, *MAPS}
    series = scan.volumes[Role.DSC]
    assert scan.shape == SMALL
    assert series.shape[:3] == SMALL
    assert 40 <= series.shape[3] <= 110
    assert scan.timing is not None
    assert 0.9 <= scan.timing.repetition_s <= 2.5
    assert {volume.dtype for volume in scan.volumes.values()} == {np.dtype(np.float32)}
    assert all(np.isfinite(volume).all() for volume in scan.volumes.values())
    assert series.min() >= 0
    assert np.isin(scan.volumes[Role.BRAIN], (0, 1)).all()


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_maps_agree_with_each_other(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scan = simulate_dsc(draw_parameters(1, rng)[0], SMALL, rng)
    cbf, cbv, mtt, tmax, ttp = (scan.volumes[role] for role in MAPS)
    tissue = cbf > 0
    np.testing.assert_allclose(mtt[tissue], 60 * cbv[tissue] / cbf[tissue], rtol=1e-5)
    assert MTT_S[0] * 0.98 < mtt[tissue].min() <= mtt[tissue].max() < MTT_S[1] * 1.02
    assert (ttp[tissue] > tmax[tissue]).all()
    assert (tmax[tissue] >= 0).all()
    assert all(not volume[~tissue].any() for volume in (cbv, mtt, tmax, ttp))
    assert (scan.volumes[Role.BRAIN][tissue] == 1).all()


def test_draws_lie_in_their_ranges_and_the_seed_decides() -> None:
    thetas = draw_parameters(200, np.random.default_rng(0))
    for column, (low, high) in zip(thetas.T, RANGES.values(), strict=True):
        assert low <= column.min() < column.max() <= high
    first, second, other = (next(simulate_patients(SMALL, np.random.default_rng(seed))) for seed in (3, 3, 4))
    for role in first.volumes:
        np.testing.assert_array_equal(first.volumes[role], second.volumes[role])
    assert first.volumes[Role.DSC].shape != other.volumes[Role.DSC].shape or not np.array_equal(
        first.volumes[Role.DSC], other.volumes[Role.DSC]
    )


def test_flow_and_transit_are_those_drawn() -> None:
    p = {"white flow": 20.0, "grey flow": 2.5, "white transit": 5.0, "deficit": 2.0, "flow left": 0.8}
    cbf, mtt = (simulated(p, MEDIUM).volumes[role] for role in (Role.CBF, Role.MTT))
    assert np.median(cbf[(cbf > 0) & (cbf < 30)]) == pytest.approx(20, rel=0.05)
    assert np.median(cbf[cbf > 40]) == pytest.approx(50, rel=0.05)
    assert np.median(mtt[(cbf > 0) & (cbf < 30)]) == pytest.approx(5, rel=0.05)


def test_the_signal_falls_as_the_bolus_passes_and_the_first_frame_is_too_bright() -> None:
    scan = simulated({"frames": 80.0, "arrival": 15.0, "repetition": 1.5, "first frame": 1.3})
    assert scan.timing is not None
    curve = scan.volumes[Role.DSC][scan.volumes[Role.CBF] > 0].mean(axis=0)
    before = curve[2:10].mean()
    assert curve[0] / before == pytest.approx(1.3, rel=0.01)
    ttp = scan.volumes[Role.TTP][scan.volumes[Role.CBF] > 0]
    assert curve.argmin() * scan.timing.repetition_s - 15.0 == pytest.approx(np.median(ttp), abs=2.5)
    assert curve.min() < 0.85 * before
    assert 0.8 * before < curve[-5:].mean() < before


def test_a_larger_dose_a_longer_echo_and_wider_vessels_take_more_signal() -> None:
    def fall(**changed: float) -> float:
        scan = simulated({"frames": 60.0, "repetition": 1.5, "arrival": 15.0, **changed})
        curve = scan.volumes[Role.DSC][scan.volumes[Role.BRAIN] > 0].mean(axis=0)
        return float(1 - curve.min() / curve[2:8].mean())

    assert fall(peak=8.0) > 1.5 * fall(peak=4.0)
    assert fall(echo=0.05) > 1.3 * fall(echo=0.025)
    assert fall(arteries=0.3, veins=0.4) > 1.1 * fall()


def test_in_most_patients_blood_is_late_somewhere_and_on_one_side_only() -> None:
    late = []
    for seed in range(12):
        scan = simulated({"deficit": 8.0, "lateness": 0.2, "dispersion": 0.005}, seed=seed)
        far = scan.volumes[Role.TMAX] > 4
        left, right = far[:11].sum(), far[13:].sum()
        late.append(bool(far.any()))
        assert min(left, right) <= 0.1 * max(left, right)
    assert 4 <= sum(late) <= 11


def test_the_bolus_comes_early_enough_to_be_seen_whole() -> None:
    scan = simulated({"frames": 40.0, "repetition": 0.9, "arrival": 30.0})
    curve = scan.volumes[Role.DSC][scan.volumes[Role.CBF] > 0].mean(axis=0)
    assert 12 < curve[1:].argmin() + 1 < 32


def test_no_parameter_is_in_two_tables() -> None:
    tables = (anatomy.RANGES, bloodflow.RANGES, dsc.BOLUS_RANGES, bolus_imaging.RANGES)
    assert len(RANGES) == sum(map(len, tables))
