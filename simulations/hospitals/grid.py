"""The voxel grid of an acquisition, in millimetres of the head.

The head's origin is the middle of the circle of Willis; x points right, y forwards, z up (RAS+).

Which millimetres are seen: an angiogram's reference field of view is 144 x 144 x 80 mm, from 34 mm below the
circle to 46 mm above it, so 128 x 128 x 64 voxels are 1.125 x 1.125 x 1.25 mm. Another number of voxels changes
the resolution, not the anatomy, down to 1.5 mm voxels; with fewer voxels still (below 96 x 96 x 54) the field of
view is cropped around the circle instead, since arteries would vanish in larger voxels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.imaging.scan import Volume


@dataclass(frozen=True)
class FieldOfView:
    """Which part of the head a reference scan shows."""

    edges: tuple[float, float, float]  # millimetres
    centre: tuple[float, float, float]  # millimetres of the head
    coarsest: float  # millimetres; larger voxels are not made, the field is cropped instead


ANGIOGRAM = FieldOfView((144.0, 144.0, 80.0), (0.0, -6.0, 6.0), 1.5)


@dataclass(frozen=True)
class Grid:
    """Voxel centres along each axis, in millimetres of the head, and where the scanner thinks they are."""

    x: Volume  # (I, 1, 1), towards the right
    y: Volume  # (1, J, 1), forwards
    z: Volume  # (1, 1, K), up
    voxel: tuple[float, float, float]  # edges, millimetres
    affine: NDArray[np.float64]  # (4, 4), scanner millimetres: the head's plus the patient's position
    field: FieldOfView

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along i, j, k."""
        return self.x.size, self.y.size, self.z.size

    @property
    def origin(self) -> tuple[float, float, float]:
        """Centre of the first voxel, in millimetres of the head."""
        return float(self.x.flat[0]), float(self.y.flat[0]), float(self.z.flat[0])

    @property
    def edge(self) -> float:
        """Edge of a cube of a voxel's volume, millimetres."""
        return float(np.prod(self.voxel) ** (1 / 3))


def make_grid(
    shape: tuple[int, int, int],
    scale: tuple[float, float, float],
    position: NDArray[np.float64],
    field: FieldOfView = ANGIOGRAM,
) -> Grid:
    """Return the grid of `shape` voxels, each `scale` times the reference, moved by `position` (3,) in mm."""
    wanted = (f / n for f, n in zip(field.edges, shape, strict=True))
    voxel = tuple(min(w, field.coarsest) * s for w, s in zip(wanted, scale, strict=True))
    # A cropped field of view closes in on the circle (the origin), a full one on the middle of the head.
    share = [min(1.0, n * v / f) for n, v, f in zip(shape, voxel, field.edges, strict=True)]
    centre = np.array(field.centre) * np.clip((np.array(share) - 0.5) * 2, 0, 1) + position
    axes = [(np.arange(n) - (n - 1) / 2) * v + c for n, v, c in zip(shape, voxel, centre, strict=True)]
    affine = np.diag([*voxel, 1.0])
    affine[:3, 3] = [axis[0] for axis in axes] - position
    x, y, z = (a.astype(np.float32) for a in axes)
    edges = (voxel[0], voxel[1], voxel[2])
    return Grid(x[:, None, None], y[None, :, None], z[None, None, :], edges, affine, field)


def smooth_noise(rng: np.random.Generator, grid: Grid, scale_mm: float) -> Volume:
    """Return a Gaussian random field (I, J, K) of zero mean and unit variance, smooth over `scale_mm`.

    It is white noise on a coarse lattice that is fixed to the head, weighted by Gaussians; so the same
    generator state gives the same field in millimetres whatever the voxels.
    """
    weights = []
    for axis, reach, middle in zip((grid.x, grid.y, grid.z), grid.field.edges, grid.field.centre, strict=True):
        half = np.ceil((reach / 2 + 20) / scale_mm)
        nodes = middle + np.arange(-half, half + 1) * scale_mm
        w = np.exp(-(((axis.reshape(-1, 1) - nodes) / scale_mm) ** 2))
        weights.append((w / np.sqrt((w**2).sum(axis=1, keepdims=True))).astype(np.float32))
    field = rng.standard_normal([w.shape[1] for w in weights], dtype=np.float32)
    for axis_number in range(3):
        field = np.moveaxis(np.tensordot(weights[axis_number], field, axes=(1, axis_number)), 0, axis_number)
    return np.ascontiguousarray(field)
