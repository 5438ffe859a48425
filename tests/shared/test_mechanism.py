"""The door's formal guarantees, one test each."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shared.privacy.mechanism import GaussianSum
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


@pytest.mark.parametrize(("clip", "sigma"), [(0.0, 1.0), (-1.0, 1.0), (1.0, -0.1)])
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
