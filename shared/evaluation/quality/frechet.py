"""Fréchet distance of features (FID; Heusel et al., 2017): how far apart two Gaussian clouds are.

Both populations are summed up by mean and covariance; the distance is
|m1 - m2|² + Tr(C1 + C2 - 2 (C1 C2)^½), in squared units of a feature. With few images it is far above 0 even
for two halves of one population, so a value is read beside that of real against real, with as many images.

>>> import numpy as np
>>> cloud = np.random.default_rng(0).normal(size=(40, 3))
>>> round(frechet_distance(cloud, cloud + [3, 4, 0]), 6)  # the same cloud, moved by 5
25.0
"""

import numpy as np

from shared.errors import UsageError
from shared.evaluation.quality.population import Vectors


def frechet_distance(first: Vectors, second: Vectors) -> float:
    """Return the distance of two sets of feature vectors (n, d) and (m, d), at least 0.

    The trace of the root is taken from the eigenvalues of C1^½ C2 C1^½, which are real and not negative
    whatever the rounding; a general matrix square root can return complex numbers.

    Raises:
        UsageError: the features differ in number, or a set has fewer than d + 1 images, with which its
            covariance cannot have full rank and the distance says more of the number than of the images.
    """
    features = first.shape[1]
    if second.shape[1] != features:
        raise UsageError(f"FID of {features} features against {second.shape[1]}: use one network for both")
    fewest = min(len(first), len(second))
    if fewest <= features:
        msg = f"FID with {features} features needs {features + 1} images or more of each kind, not {fewest}"
        raise UsageError(f"{msg}; take more patches, or a network with fewer features")
    return unguarded_frechet_distance(first, second)


def unguarded_frechet_distance(first: Vectors, second: Vectors) -> float:
    """Return the same for any number of images from two on: for resampling, where only the spread is used."""
    shift = first.mean(axis=0) - second.mean(axis=0)
    one, other = (np.atleast_2d(np.cov(vectors, rowvar=False)) for vectors in (first, second))
    values, axes = np.linalg.eigh(one)
    root = (axes * np.sqrt(np.clip(values, 0, None))) @ axes.T
    overlap = np.sqrt(np.clip(np.linalg.eigvalsh(root @ other @ root), 0, None)).sum()
    return max(float(shift @ shift + np.trace(one) + np.trace(other) - 2 * overlap), 0.0)
