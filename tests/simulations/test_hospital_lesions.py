"""Hospital lesion masks: like published hand-drawn masks in size, seeded, and different from site to site.

The ranges come from 99 published chronic stroke masks: volume 5-376 ml, median 73, standard deviation of its
logarithm 0.98; 62 of 99 with one component; principal standard deviations of median 9, 12 and 21 mm.
"""

import time

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from shared.imaging.lesion_grid import to_grid
from shared.imaging.scan import Role
from simulations.hospitals.lesions import LIMITS_ML, SITES, lesion_patient

PATIENTS = 25  # a site
TOUCHING = np.ones((3, 3, 3))


def _mask(seed: int, site: int) -> NDArray[np.bool_]:
    return lesion_patient(seed, site).volumes[Role.LESION] > 0


@pytest.fixture(scope="module")
def cohorts() -> list[list[NDArray[np.bool_]]]:
    return [[_mask(seed, site) for seed in range(PATIENTS)] for site in range(len(SITES))]


def _volumes(masks: list[NDArray[np.bool_]]) -> NDArray[np.float64]:
    return np.array([mask.sum() * 8 / 1000 for mask in masks])


def test_a_scan_is_a_mask_on_two_millimetre_voxels() -> None:
    scan = lesion_patient(0, 0)
    assert scan.shape == (91, 109, 91)
    assert scan.spacing == (2.0, 2.0, 2.0)
    assert set(np.unique(scan.volumes[Role.LESION])) == {0.0, 1.0}
    assert scan.volumes[Role.LESION].dtype == np.float32


def test_seed_and_site_decide_everything() -> None:
    np.testing.assert_array_equal(_mask(3, 1), _mask(3, 1))
    assert not np.array_equal(_mask(3, 1), _mask(4, 1))
    assert not np.array_equal(_mask(3, 1), _mask(3, 1 + len(SITES)))


def test_volumes_are_those_of_real_masks(cohorts: list[list[NDArray[np.bool_]]]) -> None:
    volumes = _volumes([mask for cohort in cohorts for mask in cohort])
    assert volumes.min() >= 0.9 * LIMITS_ML[0]
    assert volumes.max() <= 1.1 * LIMITS_ML[1]
    assert 55 < np.median(volumes) < 100
    assert 0.7 < np.log(volumes).std() < 1.2


def test_shapes_are_those_of_real_masks(cohorts: list[list[NDArray[np.bool_]]]) -> None:
    spread = []
    for mask in (mask for cohort in cohorts for mask in cohort):
        spread.append(2 * np.sqrt(np.linalg.eigvalsh(np.cov(np.argwhere(mask).T))))
    middle = np.median(spread, axis=0)
    assert (np.array([5, 9, 14]) < middle).all()
    assert (middle < np.array([11, 16, 26])).all()


def test_the_main_lesion_has_small_satellites(cohorts: list[list[NDArray[np.bool_]]]) -> None:
    masks = [mask for cohort in cohorts for mask in cohort]
    sizes = [np.bincount(ndimage.label(mask, TOUCHING)[0].ravel())[1:] for mask in masks]
    assert 0.3 < np.mean([len(s) == 1 for s in sizes]) < 0.8
    assert np.mean([s.max() / s.sum() for s in sizes]) > 0.93


def test_sites_differ_in_case_mix(cohorts: list[list[NDArray[np.bool_]]]) -> None:
    medians = [np.median(_volumes(cohort)) for cohort in cohorts]
    assert medians[2] < medians[0] < medians[1]
    counts = [np.mean([ndimage.label(mask, TOUCHING)[1] for mask in cohort]) for cohort in cohorts]
    assert counts[1] < counts[0] < counts[2]


def test_lesions_lie_in_the_left_hemisphere_and_fit_the_grid(cohorts: list[list[NDArray[np.bool_]]]) -> None:
    for cohort in cohorts:
        for mask in cohort[:10]:
            assert not mask[45:].any()
            grid = to_grid(mask.astype(np.float32), (2, 2, 2))
            assert grid.sum() * 64 > 0.85 * mask.sum() * 8


@pytest.mark.parametrize("shape", [(23, 27, 23), (45, 54, 30)])
def test_other_shapes_show_the_same_head(shape: tuple[int, int, int]) -> None:
    scan = lesion_patient(1, 0, shape)
    assert scan.shape == shape
    assert scan.volumes[Role.LESION].any()
    np.testing.assert_allclose(np.array(scan.spacing) * shape, (182, 218, 182))


def test_a_patient_takes_less_than_half_a_second() -> None:
    start = time.process_time()
    lesion_patient(99, 2)
    assert time.process_time() - start < 0.5
