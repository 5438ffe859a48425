"""How near perfusion maps come to others: as Kossen et al. (2023) measure it, and inside the brain.

Their convention: every slice, scaled to [-1, 1] with the background at -1, counts as a whole, background
included; MAE, RMSE over the norm of the truth, PSNR, and SSIM with uniform windows of 7 pixels (Wang et al., 2004;
scikit-image). A map that is one constant inside the brain scores an SSIM of 0.7 to 0.9 so. So the same is measured
inside the brain alone, and what a stroke reader does with Tmax: its volume above 6 s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from shared.evaluation.dice import Mask, dice
from shared.imaging.scan import Role, Volume

RANGE = 2.0  # of [-1, 1]
HYPOPERFUSED_S = 6.0  # Tmax above which tissue is called hypoperfused (Albers et al., 2018)
WINDOW = 7  # pixels of an SSIM window

Window = tuple[float, float]  # what becomes -1 and 1, in the map's unit


@dataclass(frozen=True)
class MapQuality:
    """One map of one patient against another."""

    mae: float  # of whole slices scaled to [-1, 1], mean over slices with brain; likewise the next three
    nrmse: float
    psnr: float  # dB
    ssim: float
    brain_mae: float  # in the map's unit, over the voxels of the brain; likewise the next
    brain_bias: float
    brain_nrmse: float  # of values as they are, over the norm of the truth's
    brain_ssim: float  # mean of the scaled slices' SSIM over the brain's pixels; windows may reach out of it

    def as_json(self) -> dict[str, float]:
        """Return the fields by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Hypoperfusion:
    """Tissue with a Tmax above `HYPOPERFUSED_S`, found against true."""

    dice: float
    found_ml: float
    true_ml: float


def map_quality(found: Volume, truth: Volume, brain: Mask, window: Window) -> MapQuality:
    """Compare a map with the truth, all (i, j, k), k axial, in the map's unit; `brain` has a voxel at least.

    Outside the brain both count as background, whatever they hold.
    """
    slices = np.flatnonzero(brain.any(axis=(0, 1)))
    whole = [_whole(found[:, :, k], truth[:, :, k], brain[:, :, k], window) for k in slices]
    mae, nrmse, psnr, ssim = np.mean([one[:4] for one in whole], axis=0).tolist()
    inside, true = found[brain].astype(np.float64), truth[brain].astype(np.float64)
    similar = np.concatenate([one[4] for one in whole])
    return MapQuality(
        mae=mae,
        nrmse=nrmse,
        psnr=psnr,
        ssim=ssim,
        brain_mae=float(np.abs(inside - true).mean()),
        brain_bias=float((inside - true).mean()),
        brain_nrmse=_ratio(inside - true, true),
        brain_ssim=float(similar.mean()),
    )


def hypoperfusion(found: Volume, truth: Volume, brain: Mask, voxel_ml: float) -> Hypoperfusion:
    """Compare what two Tmax maps (i, j, k), in seconds, call hypoperfused inside the brain."""
    ours, true = (brain & (volume > HYPOPERFUSED_S) for volume in (found, truth))
    return Hypoperfusion(dice(ours, true), float(ours.sum() * voxel_ml), float(true.sum() * voxel_ml))


def scaled(volume: Volume, brain: Mask, window: Window) -> NDArray[np.float64]:
    """Return a map with `window` as -1 to 1, clipped there, and -1 outside the brain."""
    low, high = window
    inside = np.clip((volume.astype(np.float64) - low) / (high - low), 0, 1)
    return np.where(brain, RANGE * inside - 1, -1.0)


def constants(maps: Mapping[Role, NDArray[np.float32]]) -> dict[Role, float]:
    """Return the constant of least absolute error for each map, from values (n,) of brain voxels: the median."""
    return {role: float(np.median(values)) for role, values in maps.items()}


def _whole(
    found: Volume, truth: Volume, brain: Mask, window: Window
) -> tuple[float, float, float, float, NDArray[np.float64]]:
    """Return MAE, NRMSE, PSNR and SSIM of a slice (i, j), and the SSIM of each of its brain's pixels."""
    ours, true = scaled(found, brain, window), scaled(truth, brain, window)
    square = float(np.square(ours - true).mean())
    psnr = 10 * np.log10(RANGE**2 / max(square, 1e-10))  # maps that agree to the last bit have 106 dB
    mean, each = structural_similarity(  # type: ignore[no-untyped-call]
        true, ours, data_range=RANGE, win_size=WINDOW, full=True
    )
    return float(np.abs(ours - true).mean()), _ratio(ours - true, true), psnr, float(mean), each[brain]


def _ratio(error: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Return the norm of the error over that of the truth."""
    return float(np.linalg.norm(error) / max(float(np.linalg.norm(truth)), 1e-12))
