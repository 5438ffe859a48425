"""Smooth random fields: cubic B-splines with random coefficients, fast enough to be drawn by the thousand."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]  # (k, i, j)


@lru_cache(maxsize=256)
def _basis(length: int, knot: float) -> NDArray[np.float32]:
    """Return (length, coefficients): a uniform cubic B-spline basis with `knot` voxels between knots."""
    position = np.arange(length) / knot
    knots = np.arange(int(np.ceil(length / knot)) + 3) - 1
    t = np.abs(position[:, None] - knots[None, :])
    near = 2 / 3 - t**2 + t**3 / 2
    far = np.clip(2 - t, 0, None) ** 3 / 6
    return np.where(t < 1, near, far).astype(np.float32)


def smooth_field(
    shape: tuple[int, int, int], knot: float | tuple[float, float, float], rng: np.random.Generator
) -> Field:
    """Return (k, i, j) of about unit variance that varies over `knot` voxels, along each axis or all alike."""
    knots = knot if isinstance(knot, tuple) else (knot,) * 3
    slices, rows, columns = (_basis(length, along) for length, along in zip(shape, knots, strict=True))
    numbers = (slices.shape[1], rows.shape[1], columns.shape[1])
    coefficients = rng.standard_normal(numbers, dtype=np.float32) * np.float32(3.0)
    along_columns = coefficients @ columns.T
    along_rows = rows @ along_columns
    mixed = slices @ along_rows.reshape(numbers[0], -1)
    return mixed.reshape(shape).astype(np.float32, copy=False)
