"""Fréchet distance of features (FID; Heusel et al., 2017): how far apart two Gaussian clouds are.

Both populations are summed up by mean and covariance; the distance is
|m1 - m2|² + Tr(C1 + C2 - 2 (C1 C2)^½), in squared units of a feature. With few images it is far above 0 even
for two halves of one population, so a value is read beside that of real against real, with as many images.
"""

import numpy as np

from shared.errors import UsageError
from shared.evaluation.quality.population import Features, check_comparable


def frechet_distance(candidate: Features, reference: Features) -> float:
    """Return the distance between two populations' features, at least 0.

    Raises:
        UsageError: the features are of two networks, or a population has fewer images than features plus one:
            its covariance cannot have full rank, and the distance would say more of the number than of the
            images.
    """
    check_comparable(candidate, reference)
    features, fewest = candidate.vectors.shape[1], min(len(candidate.vectors), len(reference.vectors))
    if fewest <= features:
        msg = f"FID with {features} features needs {features + 1} images or more of each kind, not {fewest}"
        raise UsageError(f"{msg}; take more patches, or a network with fewer features")
    return unguarded_frechet_distance(candidate, reference)


def unguarded_frechet_distance(candidate: Features, reference: Features) -> float:
    """Return the same for any number of images from two on: for resampling, where only the spread is used.

    The trace of the root is taken from the eigenvalues of C1^½ C2 C1^½, which are real and not negative
    whatever the rounding; a general matrix square root can return complex numbers.
    """
    shift = candidate.vectors.mean(axis=0) - reference.vectors.mean(axis=0)
    one, other = (np.atleast_2d(np.cov(side.vectors, rowvar=False)) for side in (candidate, reference))
    values, axes = np.linalg.eigh(one)
    root = (axes * np.sqrt(np.clip(values, 0, None))) @ axes.T
    overlap = np.sqrt(np.clip(np.linalg.eigvalsh(root @ other @ root), 0, None)).sum()
    return max(float(shift @ shift + np.trace(one) + np.trace(other) - 2 * overlap), 0.0)
