"""The vocabulary of images: roles, axes, units.

Axes are voxel axes (i, j, k) as stored in NIfTI; k is axial; a series adds time as (i, j, k, t). Spacing is in
millimetres, time in seconds. One `Scan` is one imaging session of one patient, or one synthetic case.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

# (i, j, k), intensity in arbitrary scanner units or label value; a series is (i, j, k, t)
Volume = NDArray[np.float32]


class Role(StrEnum):
    """What a file of a session shows; the value is its BIDS-like file suffix."""

    ANGIO = "angio"  # time-of-flight MR angiogram, arbitrary units
    VESSELS = "label-vessels_mask"  # 1 where there is an artery
    BRAIN = "label-brain_mask"  # 1 inside the brain
    LESION = "label-lesion_mask"  # 1 inside a stroke lesion
    DWI = "dwi"  # diffusion-weighted image, arbitrary units
    ANATOMY = "label-anatomy_dseg"  # structures by FreeSurfer number
    DSC = "dsc"  # series of a contrast bolus (dynamic susceptibility contrast), raw signal in arbitrary units
    CBF = "cbf"  # cerebral blood flow, ml/100 g/min
    CBV = "cbv"  # cerebral blood volume, ml/100 g
    MTT = "mtt"  # mean transit time, s
    TMAX = "tmax"  # time of the residue function's maximum, s
    TTP = "ttp"  # time to peak of the tissue's concentration, s from the bolus's arrival at the artery

    @property
    def is_label(self) -> bool:
        """Whether the voxels are labels rather than intensities."""
        return self.value.startswith("label-")

    @property
    def is_mask(self) -> bool:
        """Whether the voxels are labels that can only be 0 or 1."""
        return self.value.endswith("_mask")

    @property
    def is_map(self) -> bool:
        """Whether the voxels are measures in a unit of their own, not whole numbers."""
        return self in (Role.CBF, Role.CBV, Role.MTT, Role.TMAX, Role.TTP)

    @property
    def is_series(self) -> bool:
        """Whether the file is a series of volumes over time, with axes (i, j, k, t)."""
        return self is Role.DSC


@dataclass(frozen=True)
class Timing:
    """When a series was taken: what its signal cannot be read without."""

    repetition_s: float  # time between frames, TR, seconds
    echo_s: float  # time from excitation to echo, TE, seconds


@dataclass(frozen=True)
class Scan:
    """Aligned volumes of one session, all of one shape in space, keyed by role."""

    volumes: dict[Role, Volume]
    affine: NDArray[np.float64]  # (4, 4), voxel index -> millimetres
    timing: Timing | None = None  # of the series, where there is one

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel edge lengths in millimetres."""
        edges = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return float(edges[0]), float(edges[1]), float(edges[2])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along i, j, k."""
        i, j, k = next(iter(self.volumes.values())).shape[:3]
        return i, j, k
