"""Image quality of synthetic vessel images, beside the free simulator's and real held-out patients'."""

from collections.abc import Sequence

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.table import Table

from shared.canonical import Json
from shared.errors import UsageError
from shared.evaluation.bootstrap import Interval
from shared.evaluation.published import Published
from shared.evaluation.quality.comparison import HELD_OUT, MOST_IMAGES, Assessment, Quality, assess
from shared.evaluation.quality.nearest_patients import NearestPatients
from shared.evaluation.quality.networks import FeatureNetwork, torchscript_network
from shared.evaluation.quality.population import Population
from shared.evaluation.quality.resampling import FEWEST
from shared.evaluation.quality.vessel_encoder import public_vessel_encoder
from shared.recipes.base import Progress
from simulations.evaluation.asked import Asked, Counter
from simulations.evaluation.cohorts import Patient
from simulations.evaluation.vessels import PAIRS_PER_PHANTOM, PUBLIC, SYNTHETIC, public_patches, real_patches

FEWEST_CASES = FEWEST * PAIRS_PER_PHANTOM  # public phantoms give as many images, and must be enough, too
ROUNDING = 1e-3  # by which a published image may leave [0, 1]
MEASURES = {
    "fid_training": "FID to training patients",
    "fid_held_out": "FID to held-out patients",
    "prd_area": "PRD, area",
    "alpha_precision": "α-precision",
    "beta_recall": "β-recall",
    "authenticity": "authenticity",
    "ssim": "SSIM between samples",
}


def evaluate_quality(
    published: Published, real: Sequence[Patient], held_out: Sequence[Patient], asked: Asked, report: Progress
) -> Assessment:
    """Return the image quality of the data set, of the free simulator and of those beside it.

    Raises:
        UsageError: too few patients, images outside [0, 1], or a feature network that cannot read them.
        CohortError: a patient's file is damaged.
    """
    if min(len(real), len(held_out)) < FEWEST:
        msg = f"{len(real)} training and {len(held_out)} held-out patients: image quality needs {FEWEST} of each"
        raise UsageError(f"{msg}; give more, or leave image quality out with --quick")
    kinds = {SYNTHETIC: _published(published), **{other.folder.name: _published(other) for other in asked.beside}}
    images, size = min(MOST_IMAGES, len(kinds[SYNTHETIC])), kinds[SYNTHETIC].images.shape[-1]
    rng = np.random.default_rng(asked.seed)
    count = Counter(report, "image quality", len(kinds) + 3)
    network = _network(asked)
    count()
    public = Population.of(public_patches(images, size, rng))
    training, others = (Population.of(real_patches(side, images, size, rng)) for side in (real, held_out))
    return assess({PUBLIC: public, **kinds}, training, others, network, asked.seed, count)


def _network(asked: Asked) -> FeatureNetwork:
    return public_vessel_encoder() if asked.features is None else torchscript_network(asked.features)


def _published(data_set: Published) -> Population:
    """Return the images of a data set in [-1, 1], one patient a case."""
    cases = data_set.cases()
    if len(cases) < FEWEST_CASES:
        msg = f"{data_set.folder}: {len(cases)} cases, where image quality needs {FEWEST_CASES}"
        raise UsageError(f"{msg}; `willis dataset publish` draws more, --quick leaves image quality out")
    population = Population.of(cases)
    low, high = float(population.images[:, 0].min()), float(population.images[:, 0].max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        msg = f"{data_set.folder}: images from {low:.3g} to {high:.3g}, where data sets have 0 to 1"
        raise UsageError(f"{msg}; scale them as the data set was published, or use --quick")
    population.images[:, 0] = np.clip(population.images[:, 0] * 2 - 1, -1, 1)
    return population


def table(assessment: Assessment) -> Table:
    """Return the measures as a person reads them, one column a kind."""
    rows = assessment.rows
    title = f"Image quality: {rows[0].images} images of each kind; features: {assessment.network}"
    shown = Table("measure (95 % CI over patients)", title=title, title_justify="left", box=SIMPLE_HEAD)
    for row in rows:
        shown.add_column(row.name, justify="right", no_wrap=True)
    for measure, name in MEASURES.items():
        shown.add_row(name, *(_with_interval(getattr(row, measure)) for row in rows))
    shown.add_row("nearer to a training patient (chance)", *(_nearer(row.nearest) for row in rows))
    return shown


def verdict(assessment: Assessment) -> str:
    """Say whether the synthetic images remember patients, and which measures are missing."""
    row = next(row for row in assessment.rows if row.name == SYNTHETIC)
    assert row.nearest is not None
    low, high = (100 * share for share in row.nearest.chance)
    words = (
        f"{100 * row.nearest.share:.0f} % of the synthetic images lie nearer to a training patient than to any "
        f"of as many others; chance gives {low:.0f} to {high:.0f} %: "
    )
    if row.nearest.share > row.nearest.chance[1]:
        words += "patients may be REMEMBERED."
    else:
        words += "no sign of copies, which is no proof that there are none; privacy rests on the mechanism."
    if row.fid_training is None:
        words += f" No FID: {row.images} images are too few for the features; `willis dataset publish` draws more."
    return f"{words} Read every value beside that of {HELD_OUT!r}: it is what unseen real images score."


def as_json(assessment: Assessment) -> Json:
    """Return the assessment for machines."""
    return {
        "features": assessment.network,
        "reference": "training patients, unless a name says otherwise",
        "rows": [_row(row) for row in assessment.rows],
    }


def _row(row: Quality) -> Json:
    measures: dict[str, Json] = {measure: _interval(getattr(row, measure)) for measure in MEASURES}
    return {
        "images_of": row.name,
        "images": row.images,
        **measures,
        "prd_f8": row.f8,
        "prd_f_eighth": row.f_eighth,
        "nearest_patients": _nearest(row.nearest),
    }


def _nearest(nearest: NearestPatients | None) -> Json:
    if nearest is None:
        return None
    return {
        "share_nearer_to_training": nearest.share,
        "share_by_chance": list(nearest.chance),
        "p_value": nearest.p_value,
        "patients_of_each_kind": nearest.patients,
        "distance_to_training_quartiles": np.quantile(nearest.to_training, [0.25, 0.5, 0.75]).tolist(),
        "distance_to_held_out_quartiles": np.quantile(nearest.to_held_out, [0.25, 0.5, 0.75]).tolist(),
    }


def _interval(interval: Interval | None) -> Json:
    if interval is None:
        return None
    return {"value": interval.estimate, "low": interval.low, "high": interval.high, "level": 0.95}


def _with_interval(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    digits = 2 if abs(interval.estimate) < 10 else 1
    return f"{interval.estimate:.{digits}f} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"


def _nearer(nearest: NearestPatients | None) -> str:
    if nearest is None:
        return "-"
    low, high = (100 * share for share in nearest.chance)
    return f"{100 * nearest.share:.0f} % ({low:.0f} to {high:.0f} %)"
