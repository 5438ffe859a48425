"""A weighted average over sites that does not depend on the order in which they answer.

Each value is rounded to a fixed grid and added up as integers: integer addition is associative, so the bytes
are the same whichever engine delivered first, and one accumulator serves any number of sites.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from shared.messages import Arrays

# Values below the gate's 2²⁰ times at most 2¹⁴ patients stay under 2⁶²; float32 resolves no finer near 2⁻⁴.
GRID = 2.0**-28
MAX_PATIENTS = 2**14  # over all sites


class StreamedAverage:
    """Running sum of weight · array on the grid, in one pass and one model's memory."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._sums: dict[str, NDArray[np.int64]] = {k: np.zeros(s, np.int64) for k, s in shapes.items()}
        self._weight = 0

    def add(self, arrays: Arrays, weight: int) -> None:
        """Add one site's arrays; `weight` is its enrolled number of patients."""
        self._weight += weight
        if self._weight > MAX_PATIENTS:
            raise OverflowError(f"more than {MAX_PATIENTS} patients: widen the grid's integers")
        for name, total in self._sums.items():
            total += np.rint(arrays[name].astype(np.float64) / GRID).astype(np.int64) * weight

    def result(self) -> dict[str, NDArray[np.float32]]:
        """Return the average, float32."""
        scale = GRID / self._weight
        return {name: (total * scale).astype(np.float32) for name, total in self._sums.items()}
