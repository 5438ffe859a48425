"""Guarantees of the public phantoms of anatomy and of diffusion-weighted images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from shared.errors import CohortError
from shared.imaging.anatomy import STRUCTURES, Side, indices, is_fluid, is_parenchyma
from shared.imaging.lesion_injection import NoRoomError
from shared.imaging.scan import Role
from shared.phantoms import anatomy, diffusion
from shared.phantoms.anatomy import simulate_anatomy
from shared.phantoms.diffusion import draw_image
from shared.phantoms.dwi import (
    LOG_HIGH,
    LOG_LOW,
    MIN_VOXELS,
    NAMES,
    RANGES,
    draw_parameters,
    place_lesions,
    simulate_dwi,
)

SMALL = (32, 32, 8)
MEDIUM = (64, 64, 16)
WHOLE = (128, 128, 32)
seeds = st.integers(0, 2**32 - 1)


def textbook() -> dict[str, float]:
    """Return the middle of every range, with next to no tilt, bending or noise."""
    middle = dict(zip(NAMES, np.exp((LOG_LOW + LOG_HIGH) / 2).tolist(), strict=True))
    return middle | dict.fromkeys(("tilt", "shift", "warp", "aspect", "bias", "noise", "spread", "texture"), 1e-3)


def vector(p: dict[str, float]) -> NDArray[np.float64]:
    return np.array([p[name] for name in NAMES])


def test_a_whole_head_has_every_structure_whatever_the_draw() -> None:
    for theta in draw_parameters(4, np.random.default_rng(1)):
        labels, _ = simulate_anatomy(dict(zip(NAMES, theta, strict=True)), WHOLE, np.random.default_rng(0))
        assert set(np.unique(labels)) == {structure.number for structure in STRUCTURES}


def test_structures_lie_where_a_textbook_has_them() -> None:
    labels, affine = simulate_anatomy(textbook(), WHOLE, np.random.default_rng(0))

    def centre(*numbers: int) -> NDArray[np.float64]:
        return np.asarray(affine[:3, :3] @ np.argwhere(np.isin(labels, numbers)).mean(axis=0) + affine[:3, 3])

    for structure in STRUCTURES:
        if structure.side is not Side.MIDDLE:
            assert (centre(structure.number)[0] < 0) == (structure.side is Side.LEFT)
    assert centre(49)[0] < centre(52)[0] < centre(51)[0]  # thalamus, pallidum, putamen
    assert centre(8, 47)[2] < centre(10, 49)[2] < centre(3, 42)[2]
    assert centre(8, 47)[1] < centre(16)[1] < centre(11, 50)[1]
    assert centre(17)[1] < centre(18)[1]


def test_volumes_of_the_middle_of_the_ranges_are_those_of_a_brain() -> None:
    labels, affine = simulate_anatomy(textbook(), WHOLE, np.random.default_rng(0))
    voxel = abs(np.linalg.det(affine[:3, :3])) / 1000

    def ml(*numbers: int) -> float:
        return float(np.isin(labels, numbers).sum() * voxel)

    assert 900 < is_parenchyma(labels).sum() * voxel < 1500
    assert 8 < ml(4, 43) < 60
    assert 8 < ml(10, 49) < 22
    assert 80 < ml(7, 8, 46, 47) < 220
    assert 250 < ml(3, 42) < 700


def test_ventricles_lie_within_the_brain_and_cortex_at_its_surface() -> None:
    labels, _ = simulate_anatomy(textbook(), WHOLE, np.random.default_rng(0))
    near_outside = ndimage.binary_dilation(labels == 0, iterations=3)
    assert not (near_outside & np.isin(labels, (4, 43, 14))).any()
    beside_fluid = ndimage.binary_dilation(labels == 24) & np.isin(labels, (2, 3, 41, 42))
    assert np.isin(labels[beside_fluid], (3, 42)).mean() > 0.9


def test_a_wider_ventricle_a_thicker_cortex_and_atrophy_do_what_they_say() -> None:
    def ml(structures: tuple[int, ...], **changed: float) -> float:
        labels, _ = simulate_anatomy(textbook() | changed, MEDIUM, np.random.default_rng(0))
        return float(np.isin(labels, structures).sum())

    assert ml((4, 43), ventricles=2.0) > 2 * ml((4, 43), ventricles=1.0)
    assert ml((3, 42), cortex=4.5) > 1.2 * ml((3, 42), cortex=2.5)
    assert ml((24,), rim=6.0, sulci=1.5) > 1.5 * ml((24,), rim=1.5, sulci=0.3)
    assert ml((2, 41), size=1.08) > 1.2 * ml((2, 41), size=0.92)


@pytest.mark.parametrize("shape", [SMALL, MEDIUM, (20, 40, 12)])
def test_the_field_of_view_does_not_depend_on_the_voxels(shape: tuple[int, int, int]) -> None:
    labels, affine = simulate_anatomy(textbook(), shape, np.random.default_rng(0))
    assert labels.shape == shape
    np.testing.assert_allclose(affine.diagonal()[:3] * shape, anatomy.FIELD_MM)
    np.testing.assert_allclose(
        affine[:3, 3] + affine.diagonal()[:3] * (np.array(shape) - 1) / 2, anatomy.CENTRE_MM
    )


@settings(max_examples=8, deadline=None)
@given(seed=seeds)
def test_any_draw_is_a_whole_session(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scan = simulate_dwi(draw_parameters(1, rng)[0], SMALL, rng)
    assert set(scan.volumes) == {Role.DWI, Role.ANATOMY, Role.LESION}
    image, labels, lesion = (scan.volumes[role] for role in (Role.DWI, Role.ANATOMY, Role.LESION))
    assert {volume.shape for volume in scan.volumes.values()} == {SMALL}
    assert {volume.dtype for volume in scan.volumes.values()} == {np.dtype(np.float32)}
    assert np.isfinite(image).all()
    assert image.min() >= 0
    assert lesion.sum() >= MIN_VOXELS
    assert np.isin(lesion, (0, 1)).all()
    assert is_parenchyma(labels)[lesion > 0].all()
    assert indices(labels, lesion).max() == 28


def test_draws_lie_in_their_ranges_and_the_seed_decides() -> None:
    thetas = draw_parameters(200, np.random.default_rng(0))
    for column, (low, high) in zip(thetas.T, RANGES.values(), strict=True):
        assert low <= column.min() < column.max() <= high
    first, second = (simulate_dwi(thetas[0], SMALL, np.random.default_rng(3)) for _ in range(2))
    for role in first.volumes:
        np.testing.assert_array_equal(first.volumes[role], second.volumes[role])


@pytest.mark.parametrize("contrast", [1.5, 3.5])
def test_a_lesion_is_contrast_times_as_bright_as_brain_and_fluid_is_dark(contrast: float) -> None:
    p = textbook() | {"contrast": contrast, "lesions": 1.0, "volume": 60.0, "mottle": 1e-3, "blur": 0.1}
    p |= {"shine": 1e-3, "pileup": 1e-3, "gain": 100.0}
    scan = simulate_dwi(vector(p), MEDIUM, np.random.default_rng(0))
    image, labels, lesion = (scan.volumes[r] for r in (Role.DWI, Role.ANATOMY, Role.LESION))
    brain = image[is_parenchyma(labels) & (lesion == 0)].mean()
    assert image[lesion > 0].mean() / brain == pytest.approx(contrast, rel=0.1)
    assert image[is_fluid(labels)].mean() < 0.6 * brain


def test_grey_is_brighter_than_white_by_the_ratio_drawn() -> None:
    p = textbook() | {"grey": 1.4, "blur": 0.01, "shine": 1e-3, "pileup": 1e-3}
    labels, affine = simulate_anatomy(p, MEDIUM, np.random.default_rng(0))
    image = draw_image(p, labels, np.zeros(MEDIUM), affine, np.random.default_rng(0))
    grey, white = image[np.isin(labels, (3, 42))].mean(), image[np.isin(labels, (2, 41))].mean()
    assert grey / white == pytest.approx(1.4, rel=0.03)


def test_an_image_can_be_drawn_of_a_map_of_any_make() -> None:
    labels = np.zeros((20, 24, 10), np.int16)
    labels[4:16, 5:20, 2:8] = 2
    affine = np.array([[0, -3.0, 0, 40], [3.0, 0, 0, -7], [0, 0, 6.0, 90], [0, 0, 0, 1]])
    image = draw_image(textbook(), labels, np.zeros(labels.shape), affine, np.random.default_rng(0))
    assert image[labels == 2].mean() > 3 * image[labels == 0].mean()
    empty = draw_image(textbook(), labels * 0, labels * 0, affine, np.random.default_rng(0))
    assert np.isfinite(empty).all()


def test_a_map_with_a_foreign_label_gives_no_image() -> None:
    with pytest.raises(CohortError, match="map it with a table"):
        draw_image(textbook(), np.full(SMALL, 5), np.zeros(SMALL), np.eye(4), np.random.default_rng(0))


def test_a_map_too_small_for_a_lesion_is_an_error_and_no_endless_search() -> None:
    labels = np.zeros((12, 12, 12), np.int16)
    labels[4:7, 5:8, 5:8] = 2  # 27 voxels
    with pytest.raises(NoRoomError, match=r"at best .* 20 and 50% are needed"):
        place_lesions(
            textbook() | {"lesions": 1.0}, labels, np.diag([2.0, 2.0, 2.0, 1.0]), np.random.default_rng(0)
        )
    labels[4] = 0
    with pytest.raises(CohortError, match="18 voxels of parenchyma"):
        place_lesions(textbook(), labels, np.diag([2.0, 2.0, 2.0, 1.0]), np.random.default_rng(0))


def test_no_parameter_is_in_two_tables() -> None:
    assert not anatomy.RANGES.keys() & diffusion.RANGES.keys()
