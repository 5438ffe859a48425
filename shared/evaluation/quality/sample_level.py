"""α-precision, β-recall and authenticity (Alaa et al., 2022): realistic, complete, and no copies.

The definitions are the paper's, taken directly in the feature space of a network (no one-class embedding on
top), with the centre of a population at the mean of its features:

- P_α: share of the candidates within the α-quantile of the reference's distances to its own centre.
- R_β: share of the reference images that have, among the β-share of candidates nearest to the candidates'
  centre, one at least as near as their nearest reference image (k = 1).
- Each is summed up over all levels as 1 - 2 ∫ |P_α - α| dα, so that 1 is ideal and 0 the worst.
- Authenticity: share of the candidates that lie farther from the nearest reference image than that image lies
  from its own nearest one. Copies of the reference have none.

One thing is added, for several images of one patient are alike: an image's nearest reference image is sought
among *other patients*. With one image a patient this is the paper's definition.

Two samples of one distribution do not score 1 in β-recall (about 0.6, for R_β is then β / (1 + β)) nor in
authenticity (about a half): read both beside the values of real against real.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from shared.errors import UsageError
from shared.evaluation.quality.population import Features, Vectors, check_comparable

LEVELS = np.linspace(0, 1, 1001)


@dataclass(frozen=True)
class SampleLevel:
    """The three scores, each in [0, 1]."""

    alpha_precision: float
    beta_recall: float
    authenticity: float


def sample_level(candidate: Features, reference: Features) -> SampleLevel:
    """Return the scores of candidates against reference images.

    Raises:
        UsageError: the features are of two networks, or the reference has fewer than two patients.
    """
    check_comparable(candidate, reference)
    if len(np.unique(reference.patients)) < 2:
        raise UsageError("reference images of one patient: β-recall and authenticity need two patients or more")
    centre = reference.vectors.mean(axis=0)
    within = np.quantile(_radii(reference.vectors, centre), LEVELS)
    precision = _share_up_to(_radii(candidate.vectors, centre), within)
    own = _distances(reference.vectors, reference.vectors)
    own[reference.patients[:, None] == reference.patients] = np.inf
    between = _distances(candidate.vectors, reference.vectors)
    return SampleLevel(
        _integrated(precision),
        _integrated(_recall_curve(candidate.vectors, between, own.min(axis=1))),
        float(np.mean(between.min(axis=1) > own.min(axis=1)[between.argmin(axis=1)])),
    )


def _recall_curve(candidates: Vectors, between: Vectors, reach: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return R_β at each level; `reach` (reference,) is how near a candidate must come to count."""
    radii = _radii(candidates, candidates.mean(axis=0))
    first = np.where(between <= reach, radii[:, None], np.inf).min(axis=0)  # the most central one in reach
    return _share_up_to(first, np.quantile(radii, LEVELS))


def _share_up_to(values: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.searchsorted(np.sort(values), limits, side="right") / len(values)


def _integrated(curve: NDArray[np.float64]) -> float:
    return float(np.clip(1 - 2 * np.trapezoid(np.abs(curve - LEVELS), LEVELS), 0, 1))


def _radii(vectors: Vectors, centre: NDArray[np.float64]) -> NDArray[np.float64]:
    radii: NDArray[np.float64] = np.linalg.norm(vectors - centre, axis=1)
    return radii


def _distances(first: Vectors, second: Vectors) -> Vectors:
    distances: Vectors = cdist(first, second)
    return distances
