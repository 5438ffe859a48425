"""Precision and recall of distributions (PRD; Sajjadi et al., 2018): is what is made real, is all of it made?

All images are clustered together by k-means; each population is then a histogram over clusters, and the curve
of attainable (precision, recall) pairs follows from the two histograms. As published: 10 clusters
(Subramaniam et al., 2022; Sajjadi et al. take 20), 1001 angles, averaged over 10 runs of k-means.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from shared.errors import UsageError
from shared.evaluation.quality.population import Features, Groups, check_comparable

CLUSTERS, RUNS, ANGLES = 10, 10, 1001
BETA = 8  # F8 weighs recall, F1/8 precision
Curve = NDArray[np.float64]  # (ANGLES,)


@dataclass(frozen=True)
class PrecisionRecall:
    """A curve from (precision 0, greatest recall) to (greatest precision, recall 0), all in [0, 1]."""

    precision: Curve
    recall: Curve

    @property
    def area(self) -> float:
        """Area under the curve: 1 for one distribution, 0 where no cluster is shared."""
        return float(-np.trapezoid(self.precision, self.recall))

    def best_f(self, beta: float) -> float:
        """Return the greatest F_beta on the curve: recall counts beta times as much as precision."""
        top = (1 + beta**2) * self.precision * self.recall
        bottom = beta**2 * self.precision + self.recall
        return float(np.max(np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)))


@dataclass(frozen=True)
class Clusters:
    """The cluster of each image in each run, for both populations."""

    candidate: NDArray[np.intp]  # (images, runs)
    reference: NDArray[np.intp]  # (images, runs)

    def curve(
        self, candidate: Groups | slice = slice(None), reference: Groups | slice = slice(None)
    ) -> PrecisionRecall:
        """Return the curve of the images with these numbers, mean over runs; all images by default."""
        angles = np.linspace(1e-10, np.pi / 2 - 1e-10, ANGLES)
        slopes = np.tan(angles)[:, None]
        ours, real = _shares(self.candidate[candidate]), _shares(self.reference[reference])
        precision = [np.minimum(real[run] * slopes, ours[run]).sum(axis=1) for run in range(len(ours))]
        mean = np.mean(precision, axis=0)
        return PrecisionRecall(np.clip(mean, 0, 1), np.clip(mean / slopes[:, 0], 0, 1))


def cluster(candidate: Features, reference: Features, seed: int = 0) -> Clusters:
    """Cluster two populations together; resamples of patients reuse the clusters, with `Clusters.curve`.

    Raises:
        UsageError: the features are of two networks; the populations differ in size, which would draw the
            clusters towards the larger; or there are fewer than ten images in all.
    """
    check_comparable(candidate, reference)
    if len(candidate.vectors) != len(reference.vectors) or len(candidate.vectors) * 2 < CLUSTERS:
        msg = f"PRD of {len(candidate.vectors)} against {len(reference.vectors)} images"
        raise UsageError(f"{msg}: as many of each are needed, and {CLUSTERS // 2} or more")
    together = np.concatenate([candidate.vectors, reference.vectors])
    runs = [
        MiniBatchKMeans(n_clusters=CLUSTERS, n_init=10, random_state=seed + run).fit_predict(together)
        for run in range(RUNS)
    ]
    labels = np.stack(runs, axis=1).astype(np.intp)
    return Clusters(labels[: len(candidate.vectors)], labels[len(candidate.vectors) :])


def precision_recall(candidate: Features, reference: Features, seed: int = 0) -> PrecisionRecall:
    """Return the curve of two populations with as many images each.

    Raises:
        UsageError: as `cluster` does.
    """
    return cluster(candidate, reference, seed).curve()


def _shares(labels: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return (runs, clusters) shares of images."""
    return np.stack([np.bincount(run, minlength=CLUSTERS) / len(run) for run in labels.T])
