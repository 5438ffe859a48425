"""What the scanner does to brightness: in-flow, shading, gain, noise."""

import numpy as np

from shared.imaging.scan import Volume
from simulations.hospitals.grid import Grid, smooth_noise
from simulations.hospitals.site import Site


def inflow(grid: Grid, site: Site) -> Volume:
    """Return the brightness (1, 1, K) of blood along its way up: it fades in each slab as it is saturated."""
    low, high = grid.z.flat[0], grid.z.flat[-1]
    place = (grid.z - low) / max(high - low, 1.0) * site.slabs
    within = place - np.minimum(np.floor(place), site.slabs - 1)
    return np.asarray(1 - site.inflow_loss * within, dtype=np.float32)


def acquire(rng: np.random.Generator, brightness: Volume, grid: Grid, site: Site, gain: float) -> Volume:
    """Return the magnitude image (I, J, K) in whole scanner units: shaded, with Rician noise, scaled by `gain`."""
    shade = np.exp(site.bias * smooth_noise(rng, grid, 60.0))
    real, imaginary = rng.standard_normal((2, *grid.shape), dtype=np.float32) * np.float32(site.noise)
    signal = np.hypot(brightness * shade + real, imaginary) * np.float32(gain)
    return np.clip(np.rint(signal), 0, 32767).astype(np.float32)
