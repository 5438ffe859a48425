"""What can be read off images and labels without any network: brightness, radius and share of vessels."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, maximum_filter

from shared.evaluation.quality.population import Population

Values = NDArray[np.float64]


def intensities(population: Population) -> Values:
    """Return every voxel of the image channel, in [-1, 1]."""
    return population.images[:, 0].reshape(-1).astype(np.float64)


def vessel_shares(population: Population) -> Values:
    """Return the share of labelled voxels of each image, in [0, 1]."""
    labels = population.images[:, 1] > 0
    shares: Values = labels.reshape(len(labels), -1).mean(axis=1)
    return shares


def vessel_radii(population: Population) -> Values:
    """Return the radius in voxels at each voxel of the midlines of labelled vessels, of all images.

    The distance to the wall, where it is the greatest of the voxel's neighbourhood: each stretch of a vessel
    counts by its length. In images, of the vessel's section by the slice; in volumes, of the vessel.
    """
    found = []
    for label in population.images[:, 1] > 0:
        depth = distance_transform_edt(label)
        found.append(depth[label & (depth == maximum_filter(depth, size=3))])
    return np.concatenate(found)
