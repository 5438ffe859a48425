"""The door's formal guarantees, one test each."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shared.privacy import mechanism
from shared.privacy.mechanism import GaussianSum, PoissonSums, grid_step
from shared.privacy.randomness import Randomness, SeededRandomness, SystemRandomness

SHAPES = [(3, 2), (5,), ()]


def vector(rng: np.random.Generator, scale: float) -> list[Tensor]:
    return [torch.from_numpy(np.asarray(rng.normal(size=s) * scale, dtype=np.float32)) for s in SHAPES]


def silent_sum(vectors: list[list[Tensor]], clip: float) -> Tensor:
    door = GaussianSum([torch.zeros(s) for s in SHAPES], clip, 0.0, SystemRandomness())
    for one in vectors:
        door.add(one)
    return torch.cat([t.flatten() for t in door.release()]).double()


@given(
    st.integers(0, 2**32), st.integers(1, 6), st.sampled_from([1e-3, 1.0, 37.0]), st.sampled_from([1e-4, 1.0, 1e4])
)
def test_sensitivity_removing_any_patient_moves_the_sum_by_at_most_the_clip_norm(
    seed: int, patients: int, clip: float, scale: float
) -> None:
    rng = np.random.default_rng(seed)
    vectors = [vector(rng, scale) for _ in range(patients)]
    whole = silent_sum(vectors, clip)
    for gone in range(patients):
        moved = whole - silent_sum(vectors[:gone] + vectors[gone + 1 :], clip)
        assert float(moved.norm()) <= clip * (1 + 1e-6 * patients)


def exact_sum(values: list[Tensor], clip: float) -> Tensor:
    door = GaussianSum([torch.zeros(values[0].shape)], clip, 1.0, SystemRandomness())
    for one in values:
        door.add([one])
    return door._sum[0] * door._unit


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([1.0, 3e-5, 1e8]))
def test_sums_of_cancelling_vectors_move_by_no_more_than_the_clip_norm_to_the_last_bit(
    seed: int, clip: float
) -> None:
    """Float32 sums of such vectors move by more, as patients of 1e8 and -1e8 come and go between small ones."""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.integers(-8, 9, size=(200, 1))
    rows = [torch.from_numpy(v.astype(np.float32)) for v in rng.choice([-1.0, 1.0], (200, 7)) * scale]
    whole = exact_sum(rows, clip)
    assert torch.equal(whole, exact_sum(rows[::-1], clip))  # no rounding: any order gives the same bits
    for gone in (0, 100, 199):
        moved = whole - exact_sum(rows[:gone] + rows[gone + 1 :], clip)
        assert math.fsum(x * x for x in moved.tolist()) <= clip**2


@settings(max_examples=25)
@given(st.floats(1e-3, 1e3), st.floats(0.3, 30.0), st.floats(-50.0, 50.0))
def test_whatever_leaves_is_a_multiple_of_a_grid_fixed_by_the_noise_alone(
    clip: float, sigma: float, value: float
) -> None:
    for randomness in (SystemRandomness(), SeededRandomness(1, "grid")):
        door = GaussianSum([torch.zeros(1000)], clip, sigma, randomness)
        door.add([torch.full((1000,), value)])
        (released,) = door.release()
        assert released.dtype == torch.float32
        multiples = released.double() / grid_step(sigma * clip)
        assert torch.equal(multiples, multiples.round())
        assert len(set(multiples.tolist())) > 900  # fine enough to be no loss


def test_the_low_bits_of_what_leaves_carry_nothing() -> None:
    """Two sums a third of a step apart: last bits even and odd alike, and the same share of each."""
    count, sigma = 400_000, 1.0
    for part in (0.0, 1 / 3):
        door = GaussianSum([torch.zeros(count)], 1e4, sigma / 1e4, SystemRandomness())
        door.add([torch.full((count,), part * grid_step(sigma))])
        steps = (door.release()[0].double() / grid_step(sigma)).long()
        shares = torch.bincount(steps % 8, minlength=8) / count
        assert float((shares - 1 / 8).abs().max()) < 5 * (7 / 64 / count) ** 0.5


def test_more_vectors_than_an_exact_sum_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mechanism, "_MOST", 2)
    door = GaussianSum([torch.zeros(1)], 1.0, 1.0, SystemRandomness())
    door.add([torch.ones(1)])
    door.add([torch.ones(1)])
    with pytest.raises(OverflowError, match="sampling rate"):
        door.add([torch.ones(1)])


def test_a_step_that_failed_half_way_is_counted() -> None:
    sums = PoissonSums(
        noise_multiplier=1.0, clip_norm=1.0, sampling_rate=1.0, units=2, randomness=SystemRandomness()
    )
    with pytest.raises(ZeroDivisionError):
        sums.release([torch.zeros(1)], lambda drawn: ([torch.ones(1) / (1 // int(n))] for n in drawn))
    assert sums.executed().steps == 1


def test_a_sum_of_many_tensors_is_each_one_cut_to_whole_units_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors joined, alone, in several pieces, absent: the same bits as numpy has for each."""
    monkeypatch.setattr(mechanism, "_CHUNK", 8)
    rng = np.random.default_rng(3)
    shapes = [(2,), (), (3, 7), (4, 2), (0,), (1,), (6,), (5,)]
    values = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    door = GaussianSum([torch.zeros(shape) for shape in shapes], 1e3, 1.0, SystemRandomness())
    given_ = [None if n == 3 else torch.from_numpy(np.array(v)) for n, v in enumerate(values)]
    door.add(given_)
    door.add(given_)
    for n, (total, own) in enumerate(zip(door._sum, values, strict=True)):
        units = np.trunc(own.astype(np.float64) / door._unit)
        assert np.array_equal(total.numpy(), 0 * units if n == 3 else 2 * units)


@pytest.mark.parametrize("shapes", [[(3,), (2,)], [(5,), (0,)], [(1,), (3,)], [(2,), (1,)], [(2,), (3,), (0,)]])
def test_a_vector_of_other_shapes_is_refused_and_nothing_of_it_is_added(shapes: list[tuple[int, ...]]) -> None:
    door = GaussianSum([torch.zeros(2), torch.zeros(3)], 1.0, 1.0, SystemRandomness())
    with pytest.raises((RuntimeError, ValueError), match=r"shape|longer"):
        door.add([torch.ones(shape) for shape in shapes])
    assert not any(total.any() for total in door._sum)


def test_clipping_keeps_the_direction_and_leaves_small_vectors_alone() -> None:
    small, large = [torch.tensor([0.3, 0.4])], [torch.tensor([30.0, 40.0])]
    for given_, expected in ((small, [0.3, 0.4]), (large, [0.6, 0.8])):
        door = GaussianSum([torch.zeros(2)], 1.0, 0.0, SystemRandomness())
        door.add(given_)
        torch.testing.assert_close(door.release()[0], torch.tensor(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_vector_that_is_not_finite_counts_as_zero(bad: float) -> None:
    broken = [torch.full(s, bad) for s in SHAPES]
    good = vector(np.random.default_rng(0), 1.0)
    assert torch.equal(silent_sum([broken, good], 1.0), silent_sum([good], 1.0))


@pytest.mark.parametrize("randomness", [SystemRandomness(), SeededRandomness(1, "test")], ids=["system", "seeded"])
@pytest.mark.parametrize("patients", [0, 1])
def test_noise_has_the_declared_deviation_also_when_nobody_was_drawn(
    randomness: Randomness, patients: int
) -> None:
    size, sigma, clip = 1_000_000, 1.7, 0.5
    door = GaussianSum([torch.zeros(size)], clip, sigma, randomness)
    for _ in range(patients):
        door.add([torch.zeros(size)])
    noise = door.release()[0]
    assert float(noise.std()) == pytest.approx(sigma * clip, rel=0.005)
    assert float(noise.mean()) == pytest.approx(0.0, abs=0.005)
    assert float((noise.abs() > 2 * sigma * clip).float().mean()) == pytest.approx(0.0455, abs=0.002)


def test_a_sum_is_released_once() -> None:
    door = GaussianSum([torch.zeros(2)], 1.0, 1.0, SystemRandomness())
    door.release()
    with pytest.raises(RuntimeError, match="afresh"):
        door.release()


@pytest.mark.parametrize(("clip", "sigma"), [(0.0, 1.0), (-1.0, 1.0), (1.0, -0.1), (float("inf"), 1.0)])
def test_senseless_settings_are_refused(clip: float, sigma: float) -> None:
    with pytest.raises(ValueError, match="clip_norm"):
        GaussianSum([torch.zeros(1)], clip, sigma, SystemRandomness())


@settings(max_examples=20)
@given(st.floats(0.05, 1.0))
def test_patients_are_drawn_with_the_declared_probability(rate: float) -> None:
    for randomness in (SystemRandomness(), SeededRandomness(3, str(rate))):
        drawn = randomness.bernoulli(40_000, rate)
        assert drawn.mean() == pytest.approx(rate, abs=5 * (rate * (1 - rate) / 40_000) ** 0.5 + 1e-9)


def test_system_noise_never_repeats_and_seeded_noise_does() -> None:
    assert not torch.equal(SystemRandomness().gaussian(8, 1.0), SystemRandomness().gaussian(8, 1.0))
    assert torch.equal(SeededRandomness(1, "a").gaussian(8, 1.0), SeededRandomness(1, "a").gaussian(8, 1.0))
    assert not torch.equal(SeededRandomness(1, "a").gaussian(8, 1.0), SeededRandomness(1, "b").gaussian(8, 1.0))
