"""Guarantees of lesion injection: parenchyma only, enough of the lesion, one hemisphere, the map untouched."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.errors import CohortError, UsageError
from shared.imaging.anatomy import LESION_CLASS, Side, indices, is_parenchyma
from shared.imaging.lesion_injection import NoRoomError, Placement, inject, lay
from shared.imaging.territories import Artery, halves, hindbrain, territories

LABELS = NDArray[np.int16]
MASK_AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def head(shape: tuple[int, int, int] = (40, 44, 20), tilt: float = 0.0) -> tuple[LABELS, NDArray[np.float64]]:
    """Return a head of nested ellipsoids: two hemispheres about a ventricle each, callosum, cerebellum, stem."""
    i, j, k = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    i = i + tilt * j
    anatomy = np.zeros(shape, np.int16)
    anatomy[i**2 + j**2 + k**2 < 0.98] = 24
    brain = i**2 + j**2 + k**2 < 0.8
    anatomy[brain] = np.where(i < 0, 2, 41)[brain]
    anatomy[brain & (np.abs(i) < 0.1) & (np.abs(k) < 0.2)] = 192
    anatomy[brain & (np.abs(np.abs(i) - 0.2) < 0.1) & (np.abs(j) < 0.3) & (np.abs(k) < 0.3)] = 4
    low = brain & (k < -0.35) & (j < 0)
    anatomy[low] = np.where(i < 0, 7, 46)[low]
    anatomy[low & (np.abs(i) < 0.15)] = 16
    affine = np.diag([140 / shape[0], 170 / shape[1], 140 / shape[2], 1.0])
    affine[:3, 3] = -70, -85, -70
    return anatomy, affine


def ball(radius_mm: float, edge: int = 32) -> NDArray[np.bool_]:
    """Return a ball in 2 mm voxels."""
    squares = np.add.outer(
        np.add.outer(*[(np.arange(edge) - edge / 2) ** 2] * 2), (np.arange(edge) - edge / 2) ** 2
    )
    return np.asarray(squares < (radius_mm / 2) ** 2)


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=40, deadline=None)
@given(
    seed=seeds, radius=st.floats(12, 28), shape=st.tuples(*[st.integers(16, 40)] * 3), tilt=st.floats(-0.2, 0.2)
)
def test_a_lesion_is_parenchyma_of_one_part_and_large_enough(
    seed: int, radius: float, shape: tuple[int, int, int], tilt: float
) -> None:
    anatomy, affine = head(shape, tilt)
    before = anatomy.copy()
    lesion = inject(
        ball(radius), MASK_AFFINE, anatomy, affine, np.random.default_rng(seed), Placement(min_voxels=10)
    )
    np.testing.assert_array_equal(anatomy, before)
    assert lesion.shape == anatomy.shape
    assert lesion.sum() >= 10
    assert is_parenchyma(anatomy)[lesion].all()
    np.testing.assert_array_equal(indices(anatomy, lesion) == LESION_CLASS, lesion)
    in_hindbrain = hindbrain(anatomy)[lesion]
    assert in_hindbrain.all() or not in_hindbrain.any()
    if not in_hindbrain.any() and not (anatomy[lesion] == 192).any():
        assert len(np.unique(halves(anatomy, affine)[lesion])) == 1


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_only_a_lesion_on_the_callosum_crosses_the_midline(seed: int) -> None:
    anatomy, affine = head()
    cerebrum = np.where(hindbrain(anatomy) | (anatomy == 192), 24, anatomy)
    lesion = inject(ball(30), MASK_AFFINE, cerebrum, affine, np.random.default_rng(seed))
    assert len(np.unique(halves(cerebrum, affine)[lesion])) == 1


def test_a_lesion_on_the_callosum_may_lie_in_both_hemispheres() -> None:
    anatomy, affine = head()
    lesions = [
        inject(ball(30), MASK_AFFINE, anatomy, affine, np.random.default_rng(seed), Placement(kept=0.2))
        for seed in range(60)
    ]
    crossing = [m for m in lesions if (anatomy[m] == 2).any() and (anatomy[m] == 41).any()]
    assert crossing
    assert all((anatomy[m] == 192).any() for m in crossing)


def test_the_same_seed_gives_the_same_lesion_and_another_seed_another() -> None:
    anatomy, affine = head()
    first, second, other = (
        inject(ball(15), MASK_AFFINE, anatomy, affine, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


@pytest.mark.parametrize("edges", [(1.0, 1.0, 1.0), (1.6, 1.6, 4.5), (3.0, 3.0, 3.0)])
def test_volume_in_millilitres_is_kept_on_any_grid(edges: tuple[float, float, float]) -> None:
    shape = tuple(int(90 / e) for e in edges)
    anatomy, affine = np.full(shape, 2, np.int16), np.diag([*edges, 1.0])
    mask = ball(14)
    placement = Placement(turn_degrees=40, scale=(1, 1), shear=0, kept=1.0)
    lesion = inject(mask, MASK_AFFINE, anatomy, affine, np.random.default_rng(3), placement)
    assert lesion.sum() * np.prod(edges) == pytest.approx(mask.sum() * 8.0, rel=0.05)


def test_scale_acts_on_every_axis() -> None:
    anatomy, affine = np.full((60, 60, 60), 2, np.int16), np.diag([2.0, 2.0, 2.0, 1.0])
    placement = Placement(turn_degrees=0, scale=(1.5, 1.5), shear=0, kept=1.0)
    lesion = inject(ball(20), MASK_AFFINE, anatomy, affine, np.random.default_rng(0), placement)
    assert lesion.sum() == pytest.approx(1.5**3 * ball(20).sum(), rel=0.1)


def test_axes_are_those_of_the_affines_and_not_of_the_arrays() -> None:
    anatomy, affine = np.full((40, 40, 40), 2, np.int16), np.diag([2.0, 2.0, 2.0, 1.0])
    mask = np.zeros((20, 9, 9), bool)
    mask[2:18, 3:6, 3:6] = True  # 32 mm along its first axis, which is the head's third
    turned = np.eye(4)
    turned[:3, :3] = 2.0 * np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    placement = Placement(turn_degrees=0, scale=(1, 1), shear=0, kept=1.0)
    lesion = inject(mask, turned, anatomy, affine, np.random.default_rng(5), placement)
    i, j, k = np.ptp(np.argwhere(lesion), axis=0) + 1
    assert k == pytest.approx(16, abs=1)
    assert max(i, j) <= 4


@pytest.mark.parametrize("degrees", [-25.0, 0.0, 40.0])
def test_a_turned_head_is_halved_along_its_own_middle(degrees: float) -> None:
    i, j = np.meshgrid(np.arange(61.0) - 30, np.arange(61.0) - 30, indexing="ij")
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    across, along = cosine * i - sine * j, sine * i + cosine * j
    flat = np.where(across < 0, 2, 41)
    flat[np.abs(across) < 6] = 192
    flat[(across / 22) ** 2 + (along / 29) ** 2 > 1] = 0
    found = halves(flat[:, :, None], np.diag([1.0, 1.0, 5.0, 1.0]))[:, :, 0]
    clear = (flat > 0) & (np.abs(across) > 0.5)
    np.testing.assert_array_equal(found[clear], np.where(across < 0, -1, 1)[clear])


@pytest.mark.parametrize("side", [Side.LEFT, Side.RIGHT])
def test_a_lesion_lies_on_the_side_asked_for(side: Side) -> None:
    anatomy, affine = head()
    lesion = inject(ball(15), MASK_AFFINE, anatomy, affine, np.random.default_rng(0), Placement(side=side))
    wanted = -1 if side is Side.LEFT else 1
    assert (halves(anatomy, affine)[lesion] == wanted).all()


@pytest.mark.parametrize("artery", list(Artery))
def test_a_lesion_lies_in_the_territory_asked_for(artery: Artery) -> None:
    anatomy, affine = head()
    placement = Placement(artery=artery, kept=0.3)
    lesion = inject(ball(15), MASK_AFFINE, anatomy, affine, np.random.default_rng(0), placement)
    assert (territories(anatomy, affine)[lesion] == artery).all()


def test_territories_cover_the_parenchyma_once_and_alike_on_both_sides() -> None:
    anatomy, affine = head()
    found = territories(anatomy, affine)
    np.testing.assert_array_equal(found > 0, is_parenchyma(anatomy))
    assert set(np.unique(found)) == {0, *Artery}
    assert np.mean(found != found[::-1]) < 0.02
    assert np.sum(found == Artery.MIDDLE) == max(np.sum(found == artery) for artery in Artery)


def test_a_lesion_without_room_says_what_was_left_and_what_to_do() -> None:
    anatomy, affine = head((12, 12, 8))
    with pytest.raises(NoRoomError, match=r"5 tries: at best \d+ of its \d+ voxels.*20 and 95%.*smaller lesion"):
        inject(ball(60, 64), MASK_AFFINE, anatomy, affine, np.random.default_rng(0), Placement(kept=0.95, tries=5))


def test_a_map_without_the_territory_is_refused() -> None:
    anatomy, affine = head()
    with pytest.raises(CohortError, match="has 0 voxels of parenchyma where"):
        inject(
            ball(9),
            MASK_AFFINE,
            np.where(hindbrain(anatomy), 0, anatomy),
            affine,
            np.random.default_rng(0),
            Placement(artery=Artery.VERTEBROBASILAR),
        )


@pytest.mark.parametrize("mask", [np.zeros((4, 4, 4)), np.ones((4, 4))])
def test_a_mask_that_is_none_is_refused(mask: NDArray[np.float64]) -> None:
    anatomy, affine = head()
    with pytest.raises(UsageError, match="another mask"):
        inject(mask, MASK_AFFINE, anatomy, affine, np.random.default_rng(0))


@pytest.mark.parametrize(
    "placement",
    [
        Placement(scale=(0, 1)),
        Placement(scale=(2, 1)),
        Placement(kept=1.5),
        Placement(tries=0),
        Placement(shear=2),
    ],
)
def test_an_option_out_of_range_is_refused(placement: Placement) -> None:
    anatomy, affine = head()
    with pytest.raises(UsageError, match="need 0 < scale"):
        inject(ball(9), MASK_AFFINE, anatomy, affine, np.random.default_rng(0), placement)


def test_a_lesion_laid_in_place_covers_what_it_covers_in_millimetres() -> None:
    """A box from 10 to 20 mm along each axis, of 1 mm voxels, on a map of 4 mm voxels that begin at -2 mm.

    Map voxels 3 and 4 reach from 10 to 18 mm, voxel 5 from 18 to 22 mm: it is covered by half and no more.
    """
    anatomy = np.full((8, 8, 8), 2, np.int16)
    anatomy[3, 3, 3] = 4  # fluid
    mask = np.zeros((12, 12, 12), bool)
    mask[1:11, 1:11, 1:11] = True
    mask_affine, affine = np.eye(4), np.diag([4.0, 4.0, 4.0, 1.0])
    mask_affine[:3, 3] = 9.5
    expected = np.zeros((8, 8, 8), bool)
    expected[3:5, 3:5, 3:5] = True
    expected[3, 3, 3] = False
    assert np.array_equal(lay(mask, mask_affine, anatomy, affine), expected)
    flipped = mask_affine @ np.diag([-1.0, 1.0, 1.0, 1.0])
    flipped[0, 3] += 11
    assert np.array_equal(lay(mask, flipped, anatomy, affine), expected)


def test_a_lesion_that_lies_elsewhere_is_refused() -> None:
    anatomy, affine = head()
    away = affine.copy()
    away[:3, 3] += 1000
    with pytest.raises(NoRoomError, match="one space"):
        lay(ball(10.0), away, anatomy, affine)
