"""Frames of a series laid onto each other where the head moved: rigid registration by linearised least squares.

A frame is fitted with images of the head and the derivatives of the head by six small rigid movements, resampled
by what was found, and fitted again (Friston et al., 1995, "Spatial registration and normalization of images",
Human Brain Mapping 3). A bolus darkens a frame without any movement, so the images are three, which is ours:
what goes, over the frames, with 1, with the brain's mean curve, and with that curve's slope.

Movement is found on a coarse, smoothed copy; the series itself is interpolated once.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from shared.imaging.perfusion.baseline import Baseline
from shared.imaging.perfusion.motion import Motion
from shared.imaging.perfusion.rigid import STILL, Floats, Grid, Mask, Pose, pooled
from shared.imaging.scan import Volume

LEAST_SLICES = 4  # fewer do not show how a head moves through them

_IMAGES = 3  # of the head
_PASSES = 4  # over all frames, each with new images
_STEPS = 2  # of a frame in a pass
_COARSE_MM = 3.5  # in a slice, pixels are averaged up to this edge
_AROUND = 2  # voxels around the brain that count: its edge tells most
_ALL, _IN_PLANE = [0, 1, 2, 3, 4, 5], [0, 1, 5]  # of the movements along i, j, k and about them


def align(
    series: NDArray[np.floating],
    edges: Floats,
    brain: Mask,
    baseline: Baseline,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Volume, Motion]:
    """Return a series (i, j, k, t) without the head's movement, and the movement.

    Frames before the baseline are left as they are, for their contrast is another. With fewer than `LEAST_SLICES`
    slices, movement within them alone is corrected. Takes memory for at most two more series.

    Args:
        series: raw signal, any unit.
        edges: of a voxel along i, j, k (3,), mm.
        brain: mask, of where the head lies in the baseline.
        baseline: of the brain's mean signal.
        progress: called with frames done and to do, over all passes.
    """
    head = _Head.of(series, edges, brain, baseline)
    grid = Grid.of(series.shape[:3], edges)
    poses, aligned = [STILL] * series.shape[3], np.array(series, dtype=np.float32)
    frames = range(baseline.first, series.shape[3])
    total = (_PASSES + 1) * len(frames)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number in range(_PASSES):
            better = partial(head.better, poses, head.inverse(poses))
            found = []
            for pose in pool.map(better, frames):
                found.append(pose)
                progress(number * len(frames) + len(found), total)
            back = Pose.mean(found[: baseline.end - baseline.first]).inverse()  # or all would meet half-way
            poses = poses[: baseline.first] + [pose.after(back) for pose in found]

        def lay(k: int) -> None:
            aligned[..., k] = grid.resample(series[..., k], poses[k])

        for done, _ in enumerate(pool.map(lay, frames), 1):
            progress(_PASSES * len(frames) + done, total)
    return aligned, Motion(poses, head.left(poses), head.flat)


@dataclass(frozen=True)
class _Head:
    """The coarse, smoothed series, and the n voxels of it that count: the brain and what lies around it."""

    frames: Volume  # (t, i, j, k)
    grid: Grid
    around: Mask
    brain: NDArray[np.bool_]  # (n,)
    points: Floats  # (3, n), mm
    baseline: Baseline

    @classmethod
    def of(cls, series: NDArray[np.floating], edges: Floats, brain: Mask, baseline: Baseline) -> "_Head":
        """Return the head of a series (i, j, k, t)."""
        factor = max(1, int(_COARSE_MM // max(edges[:2])))
        coarse = (pooled(frame, factor) for frame in np.moveaxis(series, 3, 0))
        frames = np.stack([ndimage.gaussian_filter(frame, (1, 1, 0)) for frame in coarse])
        inside = pooled(brain, factor) >= 0.5
        around = ndimage.binary_dilation(inside, iterations=_AROUND)
        grid = Grid.of(series.shape[:3], edges).coarse(factor)
        return cls(frames, grid, around, inside[around], grid.points(around), baseline)

    @property
    def flat(self) -> bool:
        """Whether there are too few slices for movement through them."""
        return bool(self.frames.shape[3] < LEAST_SLICES)

    @property
    def movements(self) -> list[int]:
        """Which movements are looked for."""
        return _IN_PLANE if self.flat else _ALL

    def inverse(self, poses: list[Pose]) -> Floats:
        """Return what gives a frame's fit by least squares (m, n)."""
        return np.asarray(np.linalg.pinv(self.design(poses)))

    def better(self, poses: list[Pose], inverse: Floats, k: int) -> Pose:
        """Return a better pose of frame k, by the design's inverse (m, n)."""
        pose, six = poses[k], np.zeros(6)
        for _ in range(_STEPS):
            six[self.movements] = (inverse @ self.grid.sample(self.frames[k], self.points, pose))[_IMAGES:]
            pose = pose.after(Pose.small(six))
        return pose

    def design(self, poses: list[Pose]) -> Floats:
        """Return what a frame is fitted with (n, m): three images, and what small movements add to the head."""
        used = self.baseline
        laid = self._laid(poses)[used.first :]
        mean = laid[:, self.brain].mean(axis=1, dtype=np.float64)
        mean /= mean[: used.end - used.first].mean()
        curves = np.stack([np.ones_like(mean), mean - 1, np.gradient(mean)], axis=1)
        steady = zip(self.frames[used.frames], poses[used.frames], strict=True)
        reference = np.mean([self.grid.resample(frame, pose) for frame, pose in steady], axis=0)
        derivatives = self.grid.derivatives(reference, self.around)[:, self.movements]
        return np.hstack([laid.T @ np.linalg.pinv(curves).T.astype(np.float32), -derivatives])

    def left(self, poses: list[Pose]) -> Floats:
        """Return the share of each frame's variance that its fit leaves (t,); 0 before the baseline."""
        span = np.linalg.qr(self.design(poses))[0].astype(np.float32)
        laid = self._laid(poses)
        left = np.var(laid - (laid @ span) @ span.T, axis=1) / np.var(laid, axis=1)
        left[: self.baseline.first] = 0
        return np.asarray(left)

    def _laid(self, poses: list[Pose]) -> Volume:
        """Return the voxels that count of all frames (t, n), each laid by its pose."""
        pairs = zip(self.frames, poses, strict=True)
        return np.stack([self.grid.sample(frame, self.points, pose) for frame, pose in pairs])
