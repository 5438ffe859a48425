"""FID, PRD, sample-level scores and SSIM: hand cases, libraries, and what must hold for any population."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics.fid import get_fid_score
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter

from shared.errors import UsageError
from shared.evaluation.quality.diversity import pair_similarity
from shared.evaluation.quality.frechet import frechet_distance
from shared.evaluation.quality.population import Features, Population, Vectors
from shared.evaluation.quality.precision_recall import Clusters, precision_recall
from shared.evaluation.quality.sample_level import sample_level

seeds = st.integers(0, 2**32 - 1)


def features(vectors: object, patients: object = None) -> Features:
    values = np.asarray(vectors, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    groups = np.arange(len(values)) if patients is None else np.asarray(patients)
    return Features(values, groups, "a network")


def cloud(rng: np.random.Generator, n: int = 60, d: int = 4) -> Vectors:
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d))


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")  # of scipy, by MONAI
@settings(max_examples=20)
@given(seeds)
def test_fid_is_that_of_the_library_and_of_the_formula(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = cloud(rng), cloud(rng) + rng.normal(size=4)
    found = frechet_distance(features(first), features(second))
    assert found == pytest.approx(
        float(get_fid_score(torch.from_numpy(first), torch.from_numpy(second))), rel=1e-6
    )
    one, other = np.cov(first.T), np.cov(second.T)
    shift = first.mean(axis=0) - second.mean(axis=0)
    assert found == pytest.approx(shift @ shift + np.trace(one + other - 2 * sqrtm(one @ other)).real, rel=1e-6)


@given(seeds, st.floats(-3, 3))
def test_fid_of_a_moved_cloud_is_the_square_of_the_way(seed: int, way: float) -> None:
    first = cloud(np.random.default_rng(seed))
    moved = first + np.array([way, 0, 0, 0])
    assert frechet_distance(features(first), features(moved)) == pytest.approx(way**2, abs=1e-8)


def test_fid_of_a_cloud_twice_as_wide() -> None:
    """Per feature (2 s - s)², whatever the covariance between features: the root of C · 4C is 2C."""
    first = cloud(np.random.default_rng(0))
    first -= first.mean(axis=0)
    expected = np.trace(np.cov(first.T))
    assert frechet_distance(features(2 * first), features(first)) == pytest.approx(expected)


def test_fid_refuses_more_features_than_images_can_tell_apart() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="needs 5 images"):
        frechet_distance(features(cloud(rng, n=4)), features(cloud(rng)))


@pytest.mark.parametrize("measure", [frechet_distance, precision_recall, sample_level])
def test_features_of_two_networks_are_not_compared(measure: object) -> None:
    assert callable(measure)
    first = features(cloud(np.random.default_rng(0)))
    with pytest.raises(UsageError, match=r"a network.*another"):
        measure(first, Features(first.vectors, first.patients, "another"))


def test_prd_of_two_histograms_by_hand() -> None:
    """Half of the candidates are where no reference is: precision ½ at best, recall 1 at best."""
    candidate, reference = np.array([[0]] * 5 + [[1]] * 5), np.array([[0]] * 10)
    curve = Clusters(candidate, reference).curve()
    assert curve.precision.max() == pytest.approx(0.5)
    assert curve.recall.max() == pytest.approx(1.0)
    assert curve.area == pytest.approx(0.5, abs=1e-3)  # a rectangle: min(1·λ, ½) against min(1, ½/λ)
    assert curve.best_f(8) == pytest.approx(65 * 0.5 / (64 * 0.5 + 1), abs=1e-3)
    assert curve.best_f(1 / 8) == pytest.approx((1 + 1 / 64) * 0.5 / (0.5 / 64 + 1), abs=1e-3)
    assert curve.best_f(8) > curve.best_f(1 / 8)  # recall is the better of the two


@settings(max_examples=3, deadline=None)
@given(seeds)
def test_prd_of_one_population_is_one_and_of_strangers_nothing(seed: int) -> None:
    first = features(cloud(np.random.default_rng(seed)))
    strangers = features(first.vectors + 1e4)
    assert precision_recall(first, first).area == pytest.approx(1, abs=1e-6)
    assert precision_recall(first, strangers).area == pytest.approx(0, abs=1e-6)
    assert precision_recall(first, strangers).best_f(8) == pytest.approx(0, abs=1e-6)


def test_prd_tells_what_is_missing_from_what_is_wrong() -> None:
    """Two far groups: candidates that miss one lack recall, candidates that add one lack precision."""
    rng = np.random.default_rng(0)
    near, far = rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) + 100
    both = features(np.concatenate([near[:20], far[:20]]))
    missing, added = precision_recall(features(near), both), precision_recall(both, features(near))
    assert missing.best_f(8) < 0.7 < missing.best_f(1 / 8)
    assert added.best_f(1 / 8) < 0.7 < added.best_f(8)


def test_prd_wants_as_many_of_each() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="as many of each"):
        precision_recall(features(cloud(rng, 20)), features(cloud(rng, 21)))


def test_sample_level_scores_by_hand() -> None:
    """Reference 0, 1, 3, 6, whose nearest others are 1, 1, 2 and 3 away."""
    reference = features([0, 1, 3, 6])
    found = sample_level(features([0.5, 100, 6.0, 4.9]), reference)
    # 0.5 is ½ from 0 (reach 1): a copy. 100 is 94 from 6 (reach 3): new. 6 is a copy; 4.9 is 1.1 from 6: a copy.
    assert found.authenticity == 0.25
    # From the centre 2.5 the reference lies at 0.5, 1.5, 2.5, 3.5; candidates at 2, 97.5, 3.5, 2.4.
    levels = np.linspace(0, 1, 100_001)
    within = np.quantile([0.5, 1.5, 2.5, 3.5], levels)
    curve = np.mean(np.array([[2, 97.5, 3.5, 2.4]]) <= within[:, None], axis=1)
    assert found.alpha_precision == pytest.approx(1 - 2 * np.mean(np.abs(curve - levels)), abs=2e-3)


def test_beta_recall_by_hand() -> None:
    """Candidates 0, 1, 5 (centre 2, radii 2, 1, 3) against reference 0, 1, 3, 9: reach 1, 1, 2, 6."""
    found = sample_level(features([0, 1, 5]), features([0, 1, 3, 9]))
    # First candidate in reach of each: 0 by 1 (radius 1), 1 by 1 (1), 3 by 1 (1), 9 by 5 (3).
    levels = np.linspace(0, 1, 100_001)
    within = np.quantile([1, 2, 3], levels)
    curve = np.mean(np.array([[1, 1, 1, 3]]) <= within[:, None], axis=1)
    assert found.beta_recall == pytest.approx(1 - 2 * np.mean(np.abs(curve - levels)), abs=2e-3)


@given(seeds)
def test_copies_are_precise_and_not_authentic(seed: int) -> None:
    reference = features(cloud(np.random.default_rng(seed)))
    found = sample_level(reference, reference)
    assert found.authenticity == 0
    assert found.alpha_precision > 0.98


@given(seeds)
def test_strangers_are_authentic_and_neither_precise_nor_complete(seed: int) -> None:
    reference = features(cloud(np.random.default_rng(seed)))
    found = sample_level(features(reference.vectors + 1e4), reference)
    assert found.authenticity == 1
    assert (found.alpha_precision, found.beta_recall) == pytest.approx((0, 0), abs=1e-3)


def test_a_collapsed_generator_is_neither_typical_nor_complete() -> None:
    reference = features(cloud(np.random.default_rng(0)))
    found = sample_level(features(np.tile(reference.vectors.mean(axis=0), (60, 1))), reference)
    assert found.alpha_precision == pytest.approx(0, abs=1e-3)  # all at the centre: P_α = 1 at each level


def test_an_image_of_the_same_patient_is_no_other_image() -> None:
    """Two near images of a patient, another patient far away: a candidate between them copies."""
    vectors, candidate = [0.0, 0.1, 10.0, 10.1], features([0.5, 10.5])
    assert sample_level(candidate, features(vectors, [0, 0, 1, 1])).authenticity == 0
    assert sample_level(candidate, features(vectors)).authenticity == 1
    with pytest.raises(UsageError, match="two patients"):
        sample_level(candidate, features(vectors, [0, 0, 0, 0]))


def window_ssim(first: Vectors, second: Vectors) -> float:
    """Return SSIM as Wang et al. (2004) write it, for a data range of 2, where whole windows fit."""

    def mean(values: Vectors) -> Vectors:
        smooth: Vectors = gaussian_filter(values, 1.5, radius=5)[5:-5, 5:-5]
        return smooth

    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    a, b = mean(first), mean(second)
    va, vb, vab = mean(first**2) - a**2, mean(second**2) - b**2, mean(first * second) - a * b
    return float(((2 * a * b + c1) * (2 * vab + c2) / ((a**2 + b**2 + c1) * (va + vb + c2))).mean())


def test_ssim_is_that_of_the_paper_between_patients() -> None:
    rng = np.random.default_rng(0)
    images = gaussian_filter(rng.normal(size=(2, 1, 24, 24)), (0, 0, 2, 2)).astype(np.float32)
    found = pair_similarity(Population.each_alone(images), 5, rng)
    expected = window_ssim(*images[:, 0].astype(np.float64))
    np.testing.assert_allclose(found.ssim, expected, atol=1e-4)
    assert (found.patients[:, 0] != found.patients[:, 1]).all()


@pytest.mark.parametrize("shape", [(1, 16, 16), (1, 12, 12, 12)])
def test_one_image_over_and_over_is_found(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    one = rng.uniform(-1, 1, shape).astype(np.float32)
    collapsed = pair_similarity(Population.each_alone(np.stack([one] * 6)), 10, rng)
    various = pair_similarity(Population.each_alone(rng.uniform(-1, 1, (6, *shape)).astype(np.float32)), 10, rng)
    assert collapsed.mean == pytest.approx(1, abs=1e-4)
    assert various.mean < 0.3
    assert np.isnan(various.among(np.array([0])))


@pytest.mark.parametrize(("edge", "patients", "match"), [(10, [0, 1], "11 voxels"), (16, [0, 0], "two patients")])
def test_ssim_refuses_what_it_cannot_pair(edge: int, patients: list[int], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        pair_similarity(
            Population(np.zeros((2, 1, edge, edge), np.float32), np.array(patients)), 3, np.random.default_rng(0)
        )
