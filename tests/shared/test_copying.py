"""What two noised histograms say: right where it can be computed by hand, honest where there is too much noise."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.evaluation.copying import Histogram, find_copies
from shared.privacy.accounting import noise_multiplier_for
from shared.recipes.query_distance import BINS, DistanceQuery

EDGES = (0.1, 0.2)
MANY = 10**6
FAR = Histogram((0.0, 0.0, 1.0), 1e-6, MANY)


def noise_std(epsilon: float, patients: int) -> float:
    """Return the noise on a share of one site's patients."""
    clip = DistanceQuery.defaults("small", private=True).clip_norm
    return noise_multiplier_for(epsilon, 1e-5, 1.0, 1) * clip / patients


def test_the_share_copied_is_what_held_out_patients_do_not_explain() -> None:
    trained, held_out = Histogram((0.2, 0.4, 0.4), 1e-6, MANY), Histogram((0.0, 0.2, 0.8), 1e-6, MANY)
    found = find_copies(trained, held_out, EDGES)
    assert [one.copied for one in found.excesses] == pytest.approx([0.2, 0.5], abs=1e-6)  # (0.6 - 0.2) / (1 - 0.2)
    assert found.verdict == "failed"


def test_with_many_patients_alike_groups_pass() -> None:
    assert find_copies(FAR, FAR, EDGES).verdict == "passed"


def test_bins_so_wide_that_all_are_near_tell_nothing() -> None:
    near = Histogram((1.0, 0.0, 0.0), 1e-6, MANY)
    found = find_copies(near, near, EDGES)
    assert (found.verdict, found.detectable) == ("cannot tell", None)


def test_groups_that_differ_the_other_way_tell_nothing() -> None:
    assert find_copies(FAR, Histogram((0.3, 0.0, 0.7), 1e-6, MANY), EDGES).verdict == "cannot tell"


def test_ten_patients_at_half_an_epsilon_say_nothing() -> None:
    few = replace(FAR, noise_std=noise_std(0.5, 5), patients=5)
    found = find_copies(replace(few, shares=(1.0, 0.0, 0.0)), few, EDGES)  # all copied
    assert (found.verdict, found.detectable) == ("cannot tell", None)


def test_that_bins_add_up_to_all_patients_takes_noise_off() -> None:
    first, second = replace(FAR, shares=(0.3, 0.1, 0.9), noise_std=0.1).near()
    assert (first.share, second.share) == pytest.approx((0.2, 0.2))  # each bin is 0.1 too full
    assert first.noise_variance == pytest.approx(0.1**2 * 2 / 3)  # k (1 - k / bins) s², as simulated below
    rng = np.random.default_rng(0)
    drawn = 0.1 * rng.standard_normal((200_000, BINS))
    below = (drawn - drawn.mean(axis=1, keepdims=True))[:, :2].cumsum(axis=1)
    assert below.var(axis=0) == pytest.approx([first.noise_variance, second.noise_variance], rel=0.02)


@pytest.mark.parametrize("base", [(0.0, 0.0, 1.0), (0.05, 0.05, 0.9), (0.3, 0.3, 0.4)])
@pytest.mark.parametrize(("patients", "epsilon"), [(15, 4.0), (100, 1.0), (300, 4.0)])
def test_groups_that_are_alike_are_accused_in_one_of_twenty_at_most(
    base: tuple[float, ...], patients: int, epsilon: float
) -> None:
    rng, std = np.random.default_rng(1), noise_std(epsilon, patients)

    def drawn() -> Histogram:
        counts = rng.multinomial(patients, base)
        return Histogram(tuple(counts / patients + std * rng.standard_normal(BINS)), std, patients)

    failed = sum(find_copies(drawn(), drawn(), EDGES).verdict == "failed" for _ in range(400))
    assert failed <= 20 + 3 * (400 * 0.05 * 0.95) ** 0.5


SHARE = st.floats(-1, 2)


@given(st.tuples(SHARE, SHARE, SHARE), st.tuples(SHARE, SHARE, SHARE), st.floats(1e-6, 1), st.integers(1, 1000))
def test_intervals_hold_their_estimate_and_a_verdict_its_interval(
    ours: tuple[float, ...], others: tuple[float, ...], std: float, patients: int
) -> None:
    found = find_copies(Histogram(ours, std, patients), Histogram(others, std, patients), EDGES)
    for one in found.excesses:
        assert 0 <= one.low <= one.copied + 1e-3
        assert one.copied <= one.high + 1e-3
    assert (found.verdict == "failed") == any(one.low > 0 for one in found.excesses)
    if found.verdict == "passed":
        assert all(one.high < found.tolerated for one in found.excesses)
