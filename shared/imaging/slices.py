"""Axial slices of a volume on a square grid of a network's size, and back.

A slice is framed to a square and brought to the grid, so that pixels stay as square as they were.
A volume that has the grid's size already passes unchanged.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from shared.imaging.scan import Volume


def to_slices(
    volume: NDArray[np.generic], edge: int, *, labels: bool = False, around: float = 0.0
) -> NDArray[np.float32]:
    """Return the slices (k, edge, edge) of a volume (i, j, k), in the same order.

    Args:
        volume: intensities, or labels up to 2²⁴, which float32 holds exactly.
        edge: pixels a side of a slice.
        labels: take the nearest voxel's value; intensities are averaged where pixels grow, and interpolated.
        around: what the frame holds.
    """
    i, j, _ = volume.shape
    side = max(i, j)
    square = np.full((volume.shape[2], side, side), around, dtype=np.float32)
    square[_middle(side, i, j)] = np.moveaxis(volume, 2, 0)
    return _resized(square, edge, labels=labels)


def from_slices(slices: NDArray[np.float32], shape: tuple[int, int, int]) -> Volume:
    """Return the intensities (i, j, k) of slices (k, edge, edge) that `to_slices` took from such a volume."""
    i, j, k = shape
    if len(slices) != k:
        raise ValueError(f"{len(slices)} slices for a volume of {k}")
    side = max(i, j)
    return np.ascontiguousarray(np.moveaxis(_resized(slices, side)[_middle(side, i, j)], 0, 2))


def _middle(side: int, i: int, j: int) -> tuple[slice, slice, slice]:
    """Return where pixels (i, j) lie in a square of this side."""
    left, back = (side - i) // 2, (side - j) // 2
    return slice(None), slice(left, left + i), slice(back, back + j)


def _resized(slices: NDArray[np.float32], edge: int, *, labels: bool = False) -> NDArray[np.float32]:
    if slices.shape[1] == edge:
        return slices
    stack: Tensor = torch.from_numpy(np.ascontiguousarray(slices))[:, None]
    if labels:
        moved = interpolate(stack, size=(edge, edge), mode="nearest-exact")
    else:
        moved = interpolate(stack, size=(edge, edge), mode="bilinear", antialias=True, align_corners=False)
    return np.asarray(moved[:, 0].numpy())
