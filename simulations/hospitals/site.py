"""What tells one hospital from another: its scanner, its protocol and the patients who come to it."""

from dataclasses import dataclass, replace
from string import ascii_lowercase

import numpy as np

from shared.errors import UsageError


@dataclass(frozen=True)
class Site:
    """One hospital. Tissue brightness is relative to blood that flows in fresh, which is 1."""

    letter: str  # patients are named after it: a001, a002, ...
    gain: float  # scanner units per unit of brightness
    noise: float  # standard deviation of the complex noise, relative to fresh blood
    blur: float  # point spread in plane, standard deviation in voxels
    bias: float  # amplitude of the coil's shading, as a share
    voxel: tuple[float, float, float]  # voxel edge relative to the reference grid
    grey: float  # brightness of grey matter
    white: float  # brightness of white matter; below grey where magnetisation transfer is used
    csf: float  # brightness of cerebrospinal fluid
    fat: float  # brightness of scalp and orbital fat; low where fat is saturated
    slabs: int  # number of slabs the volume was acquired in
    inflow_loss: float  # share of the blood's brightness lost from the bottom to the top of a slab
    stenosis: float  # share of patients with a narrowed artery
    age: tuple[int, int]  # youngest and oldest patient, years


_PROFILES = (
    Site("a", 900.0, 0.022, 0.0, 0.10, (1.0, 1.0, 1.0), 0.42, 0.36, 0.15, 0.55, 2, 0.20, 0.25, (35, 80)),
    Site("b", 2400.0, 0.034, 0.45, 0.20, (0.94, 0.94, 1.05), 0.35, 0.40, 0.13, 0.85, 1, 0.40, 0.40, (50, 90)),
    Site("c", 420.0, 0.016, 0.35, 0.15, (0.92, 0.92, 0.94), 0.33, 0.26, 0.11, 0.35, 3, 0.25, 0.15, (20, 65)),
    Site("d", 1300.0, 0.042, 0.0, 0.08, (1.07, 1.07, 1.02), 0.48, 0.44, 0.20, 0.95, 1, 0.30, 0.55, (45, 90)),
    Site("e", 650.0, 0.030, 0.5, 0.25, (0.97, 0.97, 1.10), 0.40, 0.33, 0.17, 0.70, 2, 0.30, 0.30, (30, 85)),
    Site("f", 3100.0, 0.020, 0.4, 0.18, (1.04, 1.04, 0.96), 0.30, 0.29, 0.10, 0.45, 3, 0.15, 0.35, (40, 75)),
)


def site_profile(index: int) -> Site:
    """Return hospital number `index`, from 0; the same hospital whatever the cohort's seed.

    The first six are written out; further ones are those again with other gain, noise and shading.

    Raises:
        UsageError: index is not in 0-25, since hospitals are named by a letter.
    """
    if not 0 <= index < len(ascii_lowercase):
        raise UsageError(f"hospital number {index}: there are {len(ascii_lowercase)}, numbered from 0")
    base = _PROFILES[index % len(_PROFILES)]
    if index < len(_PROFILES):
        return base
    gain, noise, bias = np.random.default_rng(index).uniform((0.4, 0.7, 0.7), (2.5, 1.4, 1.4))
    return replace(
        base,
        letter=ascii_lowercase[index],
        gain=round(base.gain * gain, 1),
        noise=round(base.noise * noise, 4),
        bias=round(base.bias * bias, 4),
    )
