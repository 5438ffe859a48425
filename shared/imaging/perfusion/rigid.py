"""Rigid movements of an image, in millimetres, whatever the edges of its voxels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from shared.imaging.scan import Volume

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]  # (i, j, k)


@dataclass(frozen=True)
class Pose:
    """How a head lies: what lay at y lies at turn · y + shift; axes i, j, k, mm from the middle of the image."""

    turn: Floats  # (3, 3), a rotation
    shift: Floats  # (3,), mm

    def after(self, other: "Pose") -> "Pose":
        """Return the pose of what was moved by `other` first."""
        return Pose(self.turn @ other.turn, self.turn @ other.shift + self.shift)

    def inverse(self) -> "Pose":
        """Return the pose that undoes this one."""
        return Pose(self.turn.T, -self.turn.T @ self.shift)

    @classmethod
    def small(cls, six: Floats) -> "Pose":
        """Return the pose of shifts (mm) and a rotation vector (radians), along and about i, j, k (6,)."""
        return cls(Rotation.from_rotvec(six[3:]).as_matrix(), six[:3])

    @classmethod
    def mean(cls, poses: "list[Pose]") -> "Pose":
        """Return the pose in the middle of `poses`."""
        turns = Rotation.from_matrix([pose.turn for pose in poses])
        return cls(turns.mean().as_matrix(), np.mean([pose.shift for pose in poses], axis=0))


STILL = Pose(np.eye(3), np.zeros(3))


@dataclass(frozen=True)
class Grid:
    """Where voxels (i, j, k) lie, in mm from the middle of the image."""

    edges: Floats  # (3,), mm
    middle: Floats  # (3,), index of the middle

    @classmethod
    def of(cls, shape: tuple[int, ...], edges: Floats) -> "Grid":
        """Return the grid of an image of `shape`."""
        return cls(edges, (np.array(shape) - 1) / 2)

    def coarse(self, factor: int) -> "Grid":
        """Return the grid of the image that `pooled` makes of one on this grid."""
        by = np.array([factor, factor, 1])
        return Grid(self.edges * by, (self.middle + 0.5) / by - 0.5)

    def points(self, where: Mask) -> Floats:
        """Return where the voxels of a mask lie (3, n)."""
        return np.asarray(((np.argwhere(where) - self.middle) * self.edges).T)

    def sample(self, frame: NDArray[np.floating], points: Floats, pose: Pose) -> Volume:
        """Return what a frame would show at `points` (3, n) had the head not moved (n,)."""
        index = (pose.turn @ points + pose.shift[:, None]) / self.edges[:, None] + self.middle[:, None]
        return np.asarray(ndimage.map_coordinates(frame, index, np.float32, order=1, mode="nearest"))

    def resample(self, frame: NDArray[np.floating], pose: Pose) -> Volume:
        """Return a frame as it would be had the head not moved, by linear interpolation."""
        matrix = pose.turn * self.edges / self.edges[:, None]
        offset = self.middle - matrix @ self.middle + pose.shift / self.edges
        moved = ndimage.affine_transform(frame, matrix, offset, None, np.float32, order=1, mode="nearest")
        return np.asarray(moved)

    def derivatives(self, image: NDArray[np.floating], where: Mask) -> Floats:
        """Return how an image changes in a mask (n, 6) along i, j, k (per mm) and about them (per radian).

        Along an axis of one voxel it does not change.
        """
        slopes = np.zeros((3, int(where.sum())))
        for axis, (size, edge) in enumerate(zip(image.shape, self.edges, strict=True)):
            if size > 1:
                slopes[axis] = np.gradient(image, edge, axis=axis)[where]
        return np.concatenate([slopes, np.cross(self.points(where), slopes, axis=0)]).T


def pooled(image: NDArray[np.generic], factor: int) -> Volume:
    """Return an image (i, j, k) with the pixels of slices averaged in blocks of `factor` x `factor`."""
    i, j, k = image.shape
    i, j = i // factor, j // factor
    blocks = image[: factor * i, : factor * j].reshape(i, factor, j, factor, k)
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))
