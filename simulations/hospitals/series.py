"""What the scanner makes of a perfusion series: first frames, movement, shading, point spread, gain, noise."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter1d
from scipy.spatial.transform import Rotation

from shared.imaging.scan import Volume
from simulations.hospitals.artefacts import ghosts
from simulations.hospitals.grid import Grid, smooth_noise
from simulations.hospitals.passage import Motion
from simulations.hospitals.site import Site

_GHOSTS = 2  # copies of the head along j


def acquire_series(
    rng: np.random.Generator,
    frames: Iterator[Volume],
    grid: Grid,
    scanner: Site,
    *,
    noise: float,
    ghost: float,
    motion: Motion | None,
    number: int,
) -> Volume:
    """Return the magnitude series (I, J, K, t) in whole scanner units, with Rician noise.

    Args:
        rng: draws shading, gain and noise.
        frames: brightness (I, J, K) of each of the `number` frames as the head lies in the first.
        grid: their voxels.
        scanner: gain, shading and point spread.
        noise: standard deviation of the complex noise, in units of brightness.
        ghost: share of the signal seen again half a field of view away.
        motion: where the head lies in each frame, or None where it lies still.
        number: of frames.
    """
    shade = np.exp(scanner.bias * smooth_noise(rng, grid, 60.0)) * scanner.gain * rng.uniform(0.85, 1.15)
    shade = shade.astype(np.float32)
    sigma = np.float32(noise * scanner.gain)
    series = np.empty((*grid.shape, number), dtype=np.float32)
    for t, frame in enumerate(frames):
        picture = frame if motion is None else moved(frame, motion[t], grid)
        picture = ghosts(picture, ghost, _GHOSTS) * shade
        for axis in (0, 1):
            picture = gaussian_filter1d(picture, scanner.blur, axis=axis, mode="nearest", truncate=3.0)
        real, imaginary = sigma * rng.standard_normal((2, *grid.shape), dtype=np.float32)
        series[..., t] = np.rint(np.hypot(picture + real, imaginary))
    return np.clip(series, 0, 32767, out=series)


def moved(picture: Volume, pose: NDArray[np.float64], grid: Grid) -> Volume:
    """Return the picture (I, J, K) moved by `pose` (6,): millimetres, and degrees about its middle."""
    back = Rotation.from_euler("xyz", pose[3:], degrees=True).as_matrix().T
    voxel = np.array(grid.voxel)
    matrix = back * voxel / voxel[:, None]  # from voxels of the result to voxels of the picture
    middle = (np.array(picture.shape) - 1) / 2
    offset = middle - matrix @ (middle + pose[:3] / voxel)
    return np.asarray(affine_transform(picture, matrix, offset, order=1, mode="nearest"), dtype=np.float32)
