"""Guarantees of the volume patches of a patient."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.imaging.intensity import scale_per_image
from shared.imaging.patches_3d import VolumeSampler, patient_volumes
from shared.imaging.scan import Role, Scan

SHAPE = (16, 12, 8)


def scan(shape: tuple[int, int, int] = (40, 36, 15), vessels: int = 200, seed: int = 0) -> Scan:
    rng = np.random.default_rng(seed)
    image = rng.gamma(2.0, 40.0, shape).astype(np.float32)
    label = np.zeros(shape, np.float32)
    label.flat[rng.choice(label.size, vessels, replace=False)] = 1.0
    return Scan({Role.ANGIO: image, Role.VESSELS: label}, np.eye(4))


def test_at_the_papers_size_18_patches_are_a_grid_that_covers_the_image_and_32_lie_on_arteries() -> None:
    shape = (312, 384, 127)
    label = np.zeros(shape, np.float32)
    label[::40, ::40, ::20] = 1.0
    one = Scan({Role.ANGIO: label, Role.VESSELS: label}, np.eye(4))
    sampler = VolumeSampler(one, (128, 128, 64), 50, np.random.default_rng(0))
    assert len(sampler) == 50
    grid, on_vessel = sampler.corners[:18], sampler.corners[18:]
    for axis, (edge, part) in enumerate(zip(shape, (128, 128, 64), strict=True)):
        starts = np.unique(grid[:, axis])
        assert starts[0] == 0
        assert starts[-1] == edge - part
        assert np.all(np.diff(starts) <= part)
    assert label[tuple((on_vessel + np.array([64, 64, 32])).T)].all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 300), st.integers(0, 60))
def test_no_patch_is_taken_twice_and_a_crop_is_the_scaled_image_and_its_label(
    seed: int, n: int, count: int
) -> None:
    one = scan(vessels=n, seed=seed)
    sampler = VolumeSampler(one, SHAPE, count, np.random.default_rng(seed))
    assert len(sampler) <= count
    assert len(sampler) >= min(count, n)
    pad = [(edge, edge) for edge in SHAPE]
    image = np.pad(scale_per_image(one.volumes[Role.ANGIO]), pad, constant_values=-1.0)
    label = np.pad(one.volumes[Role.VESSELS] * 2 - 1, pad, constant_values=-1.0)
    patches = sampler.crop(np.arange(len(sampler)))
    assert patches.shape == (len(sampler), 2, *SHAPE)
    for patch, corner in zip(patches, sampler.corners + SHAPE, strict=True):
        window = tuple(slice(a, a + edge) for a, edge in zip(corner, SHAPE, strict=True))
        np.testing.assert_array_equal(patch[0], image[window])
        np.testing.assert_array_equal(patch[1], label[window])


def test_positions_on_arteries_are_distinct_and_the_grid_takes_its_share() -> None:
    sampler = VolumeSampler(scan(), SHAPE, 50, np.random.default_rng(1))
    assert len(np.unique(sampler.corners[18:], axis=0)) == 32
    inside = np.all((sampler.corners >= 0) & (sampler.corners + SHAPE <= (40, 36, 15)), axis=1)
    assert inside[:18].all()
    assert not inside[18:].all()


def test_an_image_smaller_than_a_patch_is_filled_up_with_background() -> None:
    one = scan((10, 9, 5), vessels=3)
    patches = VolumeSampler(one, SHAPE, 4, np.random.default_rng(2)).crop(np.arange(4))
    assert np.isfinite(patches).all()
    assert np.all(patches[0, :, 10:] == -1)


def test_sessions_share_a_patients_patches_and_a_patient_without_any_gives_blanks() -> None:
    pool = patient_volumes([scan(seed=1), scan(seed=2)], SHAPE, 11, np.random.default_rng(3))
    assert len(pool) == 11
    drawn = pool.draw(30, np.random.default_rng(4))
    assert drawn.shape == (30, 2, *SHAPE)
    assert len(np.unique(drawn.reshape(30, -1), axis=0)) == 11
    assert np.all(patient_volumes([], SHAPE, 4, np.random.default_rng(5)).draw(2, np.random.default_rng(6)) == -1)
