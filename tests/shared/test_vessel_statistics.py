"""Guarantees of the statistics that are released: bounded for any patient, and telling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.imaging.vessel_statistics import (
    STATISTICS_CLIP,
    STATISTICS_DIM,
    STATISTICS_NORM_BOUND,
    counts,
    histograms,
    totals,
    vessel_statistics,
)
from shared.phantoms.calibration import public_centre
from shared.phantoms.vessels import draw_parameters, simulate

SIZE = 32


def disc(radius: float, inside: float = 0.8, outside: float = -0.4, n: int = 4) -> NDArray[np.float32]:
    i, j = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    vessel = np.hypot(i, j) < radius
    image = np.where(vessel, inside, outside)
    return np.repeat(np.stack([image, vessel * 2.0 - 1.0])[None], n, axis=0).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(0, 5),
    st.floats(0, 1),
    st.sampled_from([0.0, 1e-3, 1.0, 1e6]),
    st.booleans(),
)
def test_any_patient_is_within_the_bound(seed: int, n: int, share: float, spread: float, broken: bool) -> None:
    rng = np.random.default_rng(seed)
    patches = np.stack(
        [rng.normal(0, spread, (n, SIZE, SIZE)), (rng.random((n, SIZE, SIZE)) < share) * 2.0 - 1], 1
    )
    if broken and n:
        patches[0, 0, 0] = np.nan
        patches[0, 0, 1] = np.inf
    vector = vessel_statistics(patches.astype(np.float32))
    assert vector.shape == (STATISTICS_DIM,)
    assert np.isfinite(vector).all()
    assert histograms(patches.astype(np.float32)).min() >= 0
    assert np.linalg.norm(vector) <= STATISTICS_NORM_BOUND * (1 + 1e-6)


def test_a_patient_without_patches_is_all_zero() -> None:
    assert not histograms(np.empty((0, 2, SIZE, SIZE), np.float32)).any()


def test_counts_of_patches_add_up_and_histograms_are_their_shares() -> None:
    patches = np.concatenate([disc(2.0), disc(5.0), disc(0.0)])
    counted = counts(patches)
    by_patient = np.abs(counted - sum(counts(patch[None]) for patch in patches)) > 0
    assert by_patient.sum() <= 8, "only what is bright among one patient's vessels depends on the other patches"
    np.testing.assert_allclose(histograms(patches) * np.maximum(totals(counted), 1), counted)


def test_order_and_number_of_patches_do_not_matter() -> None:
    patches = np.concatenate([disc(2.0), disc(5.0)])
    expected = vessel_statistics(patches)
    np.testing.assert_allclose(vessel_statistics(patches[::-1]), expected, atol=1e-6)
    np.testing.assert_allclose(vessel_statistics(np.concatenate([patches, patches])), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (disc(2.0), disc(5.0)),  # calibre
        (disc(4.0, inside=0.8), disc(4.0, inside=0.2)),  # brightness of vessels
        (disc(4.0, outside=-0.4), disc(4.0, outside=0.1)),  # brightness of tissue
    ],
)
def test_patients_that_differ_are_told_apart(first: NDArray[np.float32], second: NDArray[np.float32]) -> None:
    assert np.linalg.norm(vessel_statistics(first) - vessel_statistics(second)) > 0.3


def test_noise_raises_the_grain() -> None:
    quiet = disc(4.0)
    noisy = quiet.copy()
    noisy[:, 0] += np.random.default_rng(0).normal(0, 0.1, noisy[:, 0].shape)
    assert np.linalg.norm(vessel_statistics(noisy) - vessel_statistics(quiet)) > 0.5


def test_the_centre_is_that_of_public_phantoms_and_most_keep_to_the_clip() -> None:
    rng = np.random.default_rng(1)
    phantoms = np.array([vessel_statistics(simulate(theta, 16, 64, rng)) for theta in draw_parameters(60, rng)])
    assert np.linalg.norm(phantoms.mean(axis=0)) < 0.35
    assert np.mean(np.linalg.norm(phantoms, axis=1) < STATISTICS_CLIP) > 0.6


@pytest.mark.slow
def test_the_centre_can_be_made_again() -> None:
    remade = np.array(public_centre())
    kept = histograms(disc(3.0)) - vessel_statistics(disc(3.0))
    np.testing.assert_allclose(remade, kept, atol=0.002)
