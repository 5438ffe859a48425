"""Volumes turned so that their axes point right, front and up, as networks for axial slices expect, and back."""

from dataclasses import replace

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from shared.imaging.scan import Scan, Volume

_RAS = nib.orientations.axcodes2ornt("RAS")


def to_ras(volume: NDArray[np.generic], affine: NDArray[np.float64]) -> Volume:
    """Return a volume (i, j, k) with axes permuted and flipped so that they run nearest to RAS; no resampling."""
    return _turned(volume, nib.orientations.io_orientation(affine))


def from_ras(volume: NDArray[np.generic], affine: NDArray[np.float64]) -> Volume:
    """Return the volume whose `to_ras` with the same affine (4, 4) is `volume`."""
    back = nib.orientations.ornt_transform(_RAS, nib.orientations.io_orientation(affine))
    return _turned(volume, back)


def upright(scan: Scan) -> Scan:
    """Return the scan with all volumes turned by `to_ras`; what is found in it goes back by `from_ras`."""
    turned = {role: to_ras(volume, scan.affine) for role, volume in scan.volumes.items()}
    shape = scan.volumes[next(iter(turned))].shape[:3]
    back = nib.orientations.inv_ornt_aff(nib.orientations.io_orientation(scan.affine), shape)
    return replace(scan, volumes=turned, affine=scan.affine @ back)


def ras_spacing(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the voxel edges (3,) in mm along the axes of `to_ras` with the same affine (4, 4)."""
    axes = nib.orientations.io_orientation(affine)[:, 0]
    return np.asarray(np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(axes)], dtype=np.float64)


def _turned(volume: NDArray[np.generic], orientation: NDArray[np.float64]) -> Volume:
    turned = nib.orientations.apply_orientation(volume, orientation)
    return np.ascontiguousarray(turned, dtype=np.float32)
