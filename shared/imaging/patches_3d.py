"""Volume patches of one patient: a grid that covers the image, the rest centred on arteries.

As in Subramaniam et al. (2022): 50 patches of 128 x 128 x 64 a patient, of which 18 are the grid of an image
of 312 x 384 x 127 voxels. The grid's patches overlap evenly and stay within the image; those centred on an
artery may leave it, and are filled up with background (-1). A patch is (2, i, j, k) over channel and axes:
image in [-1, 1], label -1 or +1. The centre is at index edge // 2.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from shared.imaging.intensity import scale_per_image
from shared.imaging.patches import Indices, Patches, PatchPool, shares
from shared.imaging.scan import Role, Scan

GRID_SHARE = 18 / 50  # of the patches; a grid with more positions gives that many of them at random
Shape = tuple[int, int, int]  # edges of a patch in voxels (i, j, k)


class VolumeSampler:
    """Distinct patch positions in one scan, cropped when asked for.

    Places on the grid that are too few are made up for by arteries. With fewer artery voxels than wanted all
    of them are taken, so there may be fewer than `count` patches.
    """

    def __init__(self, scan: Scan, shape: Shape, count: int, rng: np.random.Generator) -> None:
        """Scale the angiogram by itself and choose up to `count` positions.

        Args:
            scan: must hold Role.ANGIO and Role.VESSELS.
            shape: edges of a patch in voxels.
            count: wanted number of patches.
            rng: draws the positions.
        """
        self.shape = shape
        self._image = scale_per_image(scan.volumes[Role.ANGIO])
        self._label = scan.volumes[Role.VESSELS] > 0
        grid = _grid(scan.shape, shape)
        grid = grid[np.sort(rng.permutation(len(grid))[: round(count * GRID_SHARE)])]
        on_vessel = np.argwhere(self._label) - np.array(shape) // 2
        chosen = rng.permutation(len(on_vessel))[: count - len(grid)]
        self.corners = np.concatenate([grid, on_vessel[chosen]])  # (patches, 3), may be negative

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.corners)

    def crop(self, indices: Indices) -> Patches:
        """Return the patches (n, 2, i, j, k) with these numbers."""
        patches = np.full((len(indices), 2, *self.shape), -1.0, dtype=np.float32)
        for patch, corner in zip(patches, self.corners[indices], strict=True):
            low = np.maximum(corner, 0)
            high = np.minimum(corner + self.shape, self._image.shape)
            source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            target = tuple(slice(a, b) for a, b in zip(low - corner, high - corner, strict=True))
            patch[0][target] = self._image[source]
            patch[1][target] = self._label[source] * 2.0 - 1.0
        return patches


def patient_volumes(scans: Sequence[Scan], shape: Shape, count: int, rng: np.random.Generator) -> PatchPool:
    """Return the pool of one patient: about `count` patches in all, spread evenly over the sessions."""
    shared = zip(scans, shares(count, len(scans)), strict=True)
    return PatchPool([VolumeSampler(scan, shape, n, rng) for scan, n in shared], shape)


def _grid(image: Shape, shape: Shape) -> NDArray[np.intp]:
    """Return corners (n, 3) of as few patches as cover the image, evenly spread; 0 where a patch is longer."""
    places = []
    for edge, part in zip(image, shape, strict=True):
        places.append(np.rint(np.linspace(0, max(edge - part, 0), -(-edge // part))).astype(np.intp))
    return np.array(list(itertools.product(*places)), dtype=np.intp)
