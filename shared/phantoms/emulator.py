"""What statistics to expect of a phantom with given parameters: a smooth function learnt from a public pool.

A phantom's own statistics vary with the slabs it happened to be drawn from about as much as with its
parameters. Weighing phantoms by them would prefer lucky slabs and shift the parameters too little; weighing by
their expectation does not.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve

Matrix = NDArray[np.float64]

REACH = 4.0  # of the kernel, in parameters scaled to [-1, 1]; prior draws lie about 3.5 apart
RIDGE = 0.3  # chosen on public phantoms, held out


@dataclass(frozen=True)
class Emulator:
    """Kernel ridge regression (Saunders et al., 1998) from scaled log parameters to statistics."""

    points: Matrix  # (n, p), scaled to [-1, 1]
    coefficients: Matrix  # (n, d)
    mean: Matrix  # (d,)

    @classmethod
    def fit(cls, points: Matrix, statistics: Matrix) -> "Emulator":
        """Learn from phantoms at `points` (n, p) with `statistics` (n, d)."""
        mean = statistics.mean(axis=0)
        gram = _kernel(points, points) + RIDGE * np.eye(len(points))
        return cls(points, solve(gram, statistics - mean, assume_a="pos"), mean)

    def expect(self, points: Matrix) -> Matrix:
        """Return the expected statistics (m, d) at `points` (m, p)."""
        expected: Matrix = self.mean + _kernel(points, self.points) @ self.coefficients
        return expected


def _kernel(a: Matrix, b: Matrix) -> Matrix:
    square = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T
    kernel: Matrix = np.exp(-square / (2 * REACH**2))
    return kernel
