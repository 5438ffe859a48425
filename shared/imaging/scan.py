"""The vocabulary of images: roles, axes, units.

Axes are voxel axes (i, j, k) as stored in NIfTI; k is axial. Spacing is in millimetres. One `Scan` is one
imaging session of one patient, or one synthetic case.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Volume = NDArray[np.float32]  # (i, j, k), intensity in arbitrary scanner units or label value


class Role(StrEnum):
    """What a file of a session shows; the value is its BIDS-like file suffix."""

    ANGIO = "angio"  # time-of-flight MR angiogram, arbitrary units
    VESSELS = "label-vessels_mask"  # 1 where there is an artery
    BRAIN = "label-brain_mask"  # 1 inside the brain
    LESION = "label-lesion_mask"  # 1 inside a stroke lesion
    DWI = "dwi"  # diffusion-weighted image, arbitrary units
    ANATOMY = "label-anatomy_dseg"  # structures by FreeSurfer number

    @property
    def is_label(self) -> bool:
        """Whether the voxels are labels rather than intensities."""
        return self.value.startswith("label-")

    @property
    def is_mask(self) -> bool:
        """Whether the voxels are labels that can only be 0 or 1."""
        return self.value.endswith("_mask")


@dataclass(frozen=True)
class Scan:
    """Aligned volumes of one session, all of one shape, keyed by role."""

    volumes: dict[Role, Volume]
    affine: NDArray[np.float64]  # (4, 4), voxel index -> millimetres

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel edge lengths in millimetres."""
        edges = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return float(edges[0]), float(edges[1]), float(edges[2])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along i, j, k."""
        i, j, k = next(iter(self.volumes.values())).shape
        return i, j, k
