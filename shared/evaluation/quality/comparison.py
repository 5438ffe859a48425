"""All measures of image quality of several kinds of images, each against training patients, on equal terms.

    assessment = assess({"synthetic": synthetic, "public": public}, training, held_out, network, seed=0)
    for quality in assessment.rows: ...  # held-out patients come first: what real images score
    quality_figure(assessment.populations, assessment.features, "public data only")

Every kind enters with equally many images, because every measure depends on how many there are. The reference
is the training patients throughout, as in the literature (Subramaniam et al., 2022); FID to held-out patients and
the nearest patients tell what was learnt from what was remembered. Nothing here is private: on patients'
images these are queries without a mechanism, for simulations and public data only.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from shared.errors import UsageError
from shared.evaluation.bootstrap import Interval
from shared.evaluation.quality.diversity import pair_similarity
from shared.evaluation.quality.frechet import frechet_distance, unguarded_frechet_distance
from shared.evaluation.quality.nearest_patients import NearestPatients, nearest_patients
from shared.evaluation.quality.networks import FeatureNetwork
from shared.evaluation.quality.population import Features, Population
from shared.evaluation.quality.precision_recall import BETA, cluster
from shared.evaluation.quality.resampling import half_samples, interval
from shared.evaluation.quality.sample_level import sample_level

TRAINING, HELD_OUT = "real, trained on", "real, held out"
MOST_IMAGES = 1000  # of each kind
PAIRS = 500  # whose SSIM is taken


@dataclass(frozen=True)
class Quality:
    """What one kind of images scores; intervals are over patients (a synthetic case is one)."""

    name: str
    images: int
    fid_training: Interval | None  # None with too few images for the network's features
    fid_held_out: Interval | None  # likewise, and for held-out patients themselves
    prd_area: Interval
    f8: float  # recall weighs more
    f_eighth: float  # precision weighs more
    alpha_precision: Interval
    beta_recall: Interval
    authenticity: Interval
    ssim: Interval  # between images of different patients
    nearest: NearestPatients | None  # None for held-out patients themselves


@dataclass(frozen=True)
class Assessment:
    """Rows, and what they were computed from."""

    network: str
    rows: list[Quality]
    populations: dict[str, Population]
    features: dict[str, Features]


def assess(
    kinds: Mapping[str, Population],
    training: Population,
    held_out: Population,
    network: FeatureNetwork,
    seed: int = 0,
    on_step: Callable[[], object] = lambda: None,
) -> Assessment:
    """Return one row for held-out patients, then one for each kind.

    Args:
        kinds: images by name.
        training: images of the patients a model was trained on.
        held_out: images of other patients.
        network: makes the features.
        seed: chooses images, clusters, pairs and resamples.
        on_step: called after each row, for a progress bar.

    Raises:
        UsageError: shapes differ between kinds, there are fewer than four patients of a kind or five images,
            or the network or SSIM cannot take images of that shape.
    """
    everyone = {TRAINING: training, HELD_OUT: held_out, **kinds}
    shapes = {population.images.shape[2:] for population in everyone.values()}
    if len(shapes) > 1:
        raise UsageError(f"images of shapes {sorted(shapes)} cannot be compared; cut patches of one size")
    rng = np.random.default_rng(seed)
    count = min(MOST_IMAGES, *map(len, everyone.values()))
    drawn = {name: population.drawn(count, rng) for name, population in everyone.items()}
    features = {name: network.features(population) for name, population in drawn.items()}
    rows = []
    for name in [HELD_OUT, *kinds]:
        rows.append(_quality(name, drawn[name], features, rng))
        on_step()
    return Assessment(network.name, rows, drawn, features)


def _quality(name: str, images: Population, features: Mapping[str, Features], rng: np.random.Generator) -> Quality:
    ours, training = features[name], features[TRAINING]
    others = None if name == HELD_OUT else features[HELD_OUT]
    clusters = cluster(ours, training)
    halves = list(half_samples(ours.patients, training.patients, rng=rng))
    scores = [sample_level(ours.rows(i), training.rows(j)) for i, j in halves]
    found, curve = sample_level(ours, training), clusters.curve()
    return Quality(
        name=name,
        images=len(images),
        fid_training=_fid(ours, training, rng),
        fid_held_out=None if others is None else _fid(ours, others, rng),
        prd_area=interval(curve.area, [clusters.curve(i, j).area for i, j in halves], high=1),
        f8=curve.best_f(BETA),
        f_eighth=curve.best_f(1 / BETA),
        alpha_precision=interval(found.alpha_precision, [score.alpha_precision for score in scores], high=1),
        beta_recall=interval(found.beta_recall, [score.beta_recall for score in scores], high=1),
        authenticity=interval(found.authenticity, [score.authenticity for score in scores], high=1),
        ssim=_ssim(images, rng),
        nearest=None if others is None else nearest_patients(ours, training, others, rng),
    )


def _fid(ours: Features, reference: Features, rng: np.random.Generator) -> Interval | None:
    if len(ours.vectors) <= ours.vectors.shape[1]:
        return None
    halves = half_samples(ours.patients, reference.patients, rng=rng)
    resampled = [unguarded_frechet_distance(ours.rows(i), reference.rows(j)) for i, j in halves]
    return interval(frechet_distance(ours, reference), resampled)


def _ssim(images: Population, rng: np.random.Generator) -> Interval:
    similarity = pair_similarity(images, PAIRS, rng)
    halves = half_samples(images.patients, rng=rng)
    resampled = [similarity.among(images.patients[rows]) for (rows,) in halves]
    return interval(similarity.mean, [value for value in resampled if np.isfinite(value)], low=-1, high=1)
