"""Guarantees of the patches of a patient."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.imaging.intensity import scale_per_image
from shared.imaging.patches import PatchPool, PatchSampler, patient_patches
from shared.imaging.scan import Role, Scan

SIZE = 16


def scan(shape: tuple[int, int, int] = (40, 36, 5), vessels: int = 200, seed: int = 0, brain: bool = True) -> Scan:
    rng = np.random.default_rng(seed)
    image = rng.gamma(2.0, 40.0, shape).astype(np.float32)
    label = np.zeros(shape, np.float32)
    label.flat[rng.choice(label.size, vessels, replace=False)] = 1.0
    inside = np.full(shape, float(brain), np.float32)
    return Scan({Role.ANGIO: image, Role.VESSELS: label, Role.BRAIN: inside}, np.eye(4))


def centre_labels(sampler: PatchSampler) -> NDArray[np.bool_]:
    patches = sampler.crop(np.arange(len(sampler)))
    return patches[:, 1, SIZE // 2, SIZE // 2] > 0


def test_half_are_centred_on_vessels() -> None:
    sampler = PatchSampler(scan(vessels=1500), SIZE, 100, np.random.default_rng(1))
    assert centre_labels(sampler)[:50].all()
    assert len(sampler) == 100


def test_with_few_vessels_all_are_taken_and_the_brain_gives_the_rest() -> None:
    one = scan(vessels=0)
    one.volumes[Role.VESSELS][20, 18, 2] = 1.0
    sampler = PatchSampler(one, SIZE, 60, np.random.default_rng(1))
    assert len(sampler) == 60
    assert centre_labels(sampler).sum() == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 300), st.integers(0, 80))
def test_no_patch_is_taken_twice_and_none_leaves_the_image(seed: int, vessels: int, count: int) -> None:
    one = scan(vessels=vessels, seed=seed)
    sampler = PatchSampler(one, SIZE, count, np.random.default_rng(seed))
    assert len(np.unique(sampler.centres, axis=0)) == len(sampler) == count
    corners = sampler.centres[:, :2] - SIZE // 2
    assert np.all(corners >= 0)
    assert np.all(corners + SIZE <= one.shape[:2])


def test_a_crop_is_the_scaled_image_and_its_label() -> None:
    one = scan(vessels=900)
    sampler = PatchSampler(one, SIZE, 10, np.random.default_rng(2))
    (patch,) = sampler.crop(np.array([3]))
    i, j, k = sampler.centres[3] - [SIZE // 2, SIZE // 2, 0]
    window = np.s_[i : i + SIZE, j : j + SIZE, k]
    np.testing.assert_array_equal(patch[0], scale_per_image(one.volumes[Role.ANGIO])[window])
    np.testing.assert_array_equal(patch[1], one.volumes[Role.VESSELS][window] * 2 - 1)


def test_centres_lie_in_the_brain_or_on_a_vessel() -> None:
    one = scan(vessels=50)
    one.volumes[Role.BRAIN][:, :, 1:] = 0.0
    sampler = PatchSampler(one, SIZE, 60, np.random.default_rng(3))
    assert np.all((sampler.centres[:, 2] == 0) | centre_labels(sampler))


def test_a_small_image_is_padded_with_background() -> None:
    sampler = PatchSampler(scan(shape=(10, 30, 3), vessels=40), SIZE, 5, np.random.default_rng(4))
    patches = sampler.crop(np.arange(5))
    assert np.all(patches[:, :, :3] == -1.0)
    assert np.all(patches[:, :, 13:] == -1.0)
    assert (patches[:, 0, 3:13] > -1.0).any()


def test_sessions_form_one_pool_shared_evenly() -> None:
    pool = patient_patches([scan(seed=1), scan(seed=2), scan(seed=3)], SIZE, 31, np.random.default_rng(5))
    assert len(pool) == 31
    assert pool.crop(np.arange(31)).shape == (31, 2, SIZE, SIZE)
    assert len(np.unique(pool.crop(np.arange(31)).reshape(31, -1), axis=0)) == 31


def test_crops_of_a_pool_keep_the_order_asked_for() -> None:
    pool = patient_patches([scan(seed=1), scan(seed=2)], SIZE, 20, np.random.default_rng(6))
    order = np.array([19, 0, 7, 12, 0])
    expected = np.concatenate([pool.crop(np.array([index])) for index in order])
    np.testing.assert_array_equal(pool.crop(order), expected)


def test_a_draw_repeats_patches_only_when_it_must() -> None:
    pool = patient_patches([scan()], SIZE, 8, np.random.default_rng(7))
    distinct = pool.draw(8, np.random.default_rng(0)).reshape(8, -1)
    assert len(np.unique(distinct, axis=0)) == 8
    counts = np.unique(pool.draw(20, np.random.default_rng(0)).reshape(20, -1), axis=0, return_counts=True)[1]
    assert sorted(counts) == [2] * 4 + [3] * 4


def test_a_patient_without_patches_gives_blank_ones() -> None:
    empty = patient_patches([scan(vessels=0, brain=False)], SIZE, 8, np.random.default_rng(8))
    assert len(empty) == 0
    assert np.all(empty.draw(3, np.random.default_rng(0)) == -1.0)
    assert PatchPool([], (SIZE, SIZE)).draw(2, np.random.default_rng(0)).shape == (2, 2, SIZE, SIZE)


def test_the_same_seed_gives_the_same_patches() -> None:
    first, second = (patient_patches([scan()], SIZE, 12, np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(
        first.draw(6, np.random.default_rng(1)), second.draw(6, np.random.default_rng(1))
    )
