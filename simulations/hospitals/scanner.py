"""What the scanner does to brightness: in-flow, point spread, shading, gain, noise."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from shared.imaging.scan import Volume
from simulations.hospitals.grid import Grid, smooth_noise
from simulations.hospitals.site import Site


def inflow(grid: Grid, site: Site) -> Volume:
    """Return the brightness (1, 1, K) of blood along its way up: it fades in each slab as it is saturated."""
    low, high = float(grid.z.flat[0]), float(grid.z.flat[-1])
    place = (grid.z - low) / max(high - low, 1.0) * site.slabs
    within = place - np.minimum(np.floor(place), site.slabs - 1)
    return np.asarray(1 - site.inflow_loss * within, dtype=np.float32)


def acquire(rng: np.random.Generator, brightness: Volume, grid: Grid, site: Site) -> Volume:
    """Return the magnitude image (I, J, K) in whole scanner units: shaded, with Rician noise, scaled.

    The point spread blurs in plane and acts on the complex signal, noise included, as filling up k-space with
    zeros does; so noise is as strong at every hospital as its profile says but coarser where there is blur.
    """
    gain = site.gain * float(rng.uniform(0.85, 1.15))
    shade = np.exp(site.bias * smooth_noise(rng, grid, 60.0))
    noise = [_spread(part, site.blur) for part in rng.standard_normal((2, *grid.shape), dtype=np.float32)]
    scale = site.noise / max(float(noise[0].std()), 1e-9)
    signal = np.hypot(_spread(brightness * shade, site.blur) + scale * noise[0], scale * noise[1])
    return np.asarray(np.clip(np.rint(signal * gain), 0, 32767), dtype=np.float32)


def _spread(volume: Volume, sigma: float) -> Volume:
    """Blur (I, J, K) along i and j by a Gaussian of `sigma` voxels."""
    if sigma == 0:
        return volume
    for axis in (0, 1):
        volume = gaussian_filter1d(volume, sigma, axis=axis, mode="nearest", truncate=3.0)
    return volume
