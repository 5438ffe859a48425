"""How near a patient's records lie to synthetic cases, in a space that no patient has shaped.

An image or a mask is averaged over blocks to a coarse grid and scaled by itself to a vector of length 1; the
distance of two is 1 minus the cosine of their angle. For images, whose mean is taken away first, the cosine is
the correlation: brightness and contrast do not count. For masks it is their overlap, the volume they share over
the geometric mean of their own (Ochiai, 1957). What is blank is a vector of zeros, at distance 1 from anything.

Coarse on purpose: a copy with noise or a slight blur stays near, and a thousand cases are a small message.
"""

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, adaptive_avg_pool3d

from shared.errors import UsageError

IMAGE_EDGE = 16  # cells a side, of 4 pixels each in patches of 64
MASK_EDGE = 16  # cells a side, of 8 mm each on the lesion grid
_BLANK = 1e-6  # length below which nothing can be told from rounding


def image_vectors(images: Tensor) -> Tensor:
    """Return (n, 256) of images (n, i, j), each standardised by itself."""
    cells = adaptive_avg_pool2d(images[:, None], IMAGE_EDGE).flatten(1)
    return _unit(cells - cells.mean(dim=1, keepdim=True))


def mask_vectors(occupancies: Tensor) -> Tensor:
    """Return (n, 4096) of occupancies (n, i, j, k) in [0, 1]."""
    return _unit(adaptive_avg_pool3d(occupancies[:, None], MASK_EDGE).flatten(1))


def mirrored(records: Tensor, axes: Sequence[int]) -> Tensor:
    """Return records and their mirror images along every combination of `axes`, the records themselves first."""
    choices = product((False, True), repeat=len(axes))
    turns = ([axis for axis, turned in zip(axes, chosen, strict=True) if turned] for chosen in choices)
    return torch.cat([records.flip(turn) for turn in turns])


def least_distance(records: Tensor, cases: Tensor) -> Tensor:
    """Return the least distance, a scalar, of any of the records (r, d) to any of the cases (n, d).

    Without records it is 1, that of a blank one, so that no patient can be told by a refusal.
    """
    blank = records.new_zeros(1, records.shape[1])
    return 1 - (torch.cat([records, blank]) @ cases.T).max()


def bin_of(distance: Tensor, edges: Tensor) -> int:
    """Return the number of the bin (0: nearest) between ascending `edges`; what is not a number is farthest."""
    return len(edges) - int((distance < edges).sum())


def public_edges(phantoms: Sequence[float]) -> Tensor:
    """Return the edges of the bins (2,) from public phantoms' distances to the synthetic cases.

    No patient was needed for the nearest phantom to come so near: that is the second edge. Half as far is the
    first; copies lie nearer yet (measured: docs/copies.md).

    Raises:
        UsageError: a phantom is among the cases, so no distance would be small.
    """
    nearest = min(phantoms)
    if nearest <= _BLANK:
        raise UsageError("the data set holds a public phantom as it is: no distance is near; it needs no query")
    return torch.tensor([nearest / 2, nearest])


def _unit(vectors: Tensor) -> Tensor:
    length = vectors.norm(dim=1, keepdim=True)
    return torch.where(length > _BLANK, vectors / length.clamp_min(_BLANK), torch.zeros_like(vectors))
