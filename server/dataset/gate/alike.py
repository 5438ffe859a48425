"""How alike two cases are: SSIM of images, Dice of lesion masks. Pure.

A generator that collapsed draws one case over and over. Of images that is seen by SSIM (Wang et al., 2004; more
than 0.98 in the collapsed generators of Kossen et al., 2022). A mask has no image; SSIM of two masks would be
high anyway, for nearly all of both is empty. There collapse is that lesions have one shape and one size, wherever
they lie: Dice of the two on the lesion grid, each centred on itself.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from shared.evaluation.dice import dice
from shared.evaluation.quality.diversity import DATA_RANGE, WINDOW, pair_similarity
from shared.evaluation.quality.population import Population
from shared.imaging.lesion_grid import to_grid
from shared.imaging.scan import Volume

PAIRS = 300  # of images, drawn at random
_SEED = 0  # of which pairs: the same files give the same figures
_WHITE = 99.5  # percentile of an image that counts as its white

Slice = NDArray[np.float32]  # (i, j), in [0, 2]: of `DATA_RANGE`, and nowhere negative, where SSIM compares means
Shape = NDArray[np.bool_]  # (32, 32, 32), a lesion centred on itself


def middle_slice(image: Volume) -> Slice:
    """Return the middle axial slice of an image (i, j, k), the image scaled by itself to [0, 2]."""
    white = max(float(np.percentile(image, _WHITE)), float(np.finfo(np.float32).tiny))
    return np.asarray(np.clip(image[:, :, image.shape[2] // 2] / white, 0, 1) * DATA_RANGE, dtype=np.float32)


def lesion_shape(mask: Volume, spacing: tuple[float, float, float]) -> Shape:
    """Return a lesion mask (i, j, k), not empty, on the lesion grid."""
    return np.asarray(to_grid(mask, spacing) > 0.5)


def square(image: Slice, edge: int) -> Slice:
    """Return the central square of `edge` pixels."""
    i, j = ((length - edge) // 2 for length in image.shape)
    return image[i : i + edge, j : j + edge]


def images_alike(images: Sequence[Slice], edge: int) -> NDArray[np.float64]:
    """Return the SSIM of random pairs of two or more images' central squares; `edge` is at least `WINDOW`."""
    stacked = np.stack([square(image, edge) for image in images])[:, None]
    return pair_similarity(Population.each_alone(stacked), PAIRS, np.random.default_rng(_SEED)).ssim


def shapes_alike(shapes: Sequence[Shape]) -> NDArray[np.float64]:
    """Return the Dice of pairs of two or more lesions: all of them, or `PAIRS` at random."""
    pairs = list(combinations(range(len(shapes)), 2))
    chosen = np.random.default_rng(_SEED).permutation(len(pairs))[:PAIRS]
    return np.array([dice(shapes[pairs[n][0]], shapes[pairs[n][1]]) for n in chosen])


def is_comparable(edge: int) -> bool:
    """Whether images of this edge are large enough for SSIM."""
    return edge >= WINDOW
