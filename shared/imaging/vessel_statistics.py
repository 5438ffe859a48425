"""Bounded statistics of one patient's labelled vessel patches: what a site may release once, noised.

Eleven histograms, each of which sums to at most 1, minus what public phantoms have on average. The vector has
Euclidean norm at most `STATISTICS_NORM_BOUND` whatever the patient: the bound is arithmetic and owes nothing to
data. Patients are seldom that far from the public centre, so `STATISTICS_CLIP`, which most public phantoms keep
to, is the norm to clip to: half the noise for the same ε.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, label

from shared.imaging.patches import Patches

Images = NDArray[np.float32]  # (patches, size, size), in [-1, 1]
Masks = NDArray[np.bool_]  # (patches, size, size)
Histogram = NDArray[np.float64]

_LEVELS = np.linspace(-1.0, 1.0, 15)
_GRAIN = np.array([0.0, 0.01, 0.02, 0.035, 0.055, 0.08, 0.12, 0.18, 0.3, np.inf])
_SLOPE = np.array([0.0, 0.01, 0.025, 0.05, 0.09, 0.15, 0.25, 0.4, np.inf])
_SHARE = np.array([0.0, 1e-4, 0.003, 0.008, 0.016, 0.03, 0.05, 0.09, np.inf])
_CONTRAST = np.array([-np.inf, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2, np.inf])
_COUNTS = np.array([0, 1, 2, 3, 4, 6, 9, 14, np.inf])
_DEPTHS = 8  # radii told apart, voxels
_RING = 3  # voxels around a vessel that are its surround


def vessel_statistics(patches: Patches) -> NDArray[np.float32]:
    """Return (STATISTICS_DIM,) for the patches (n, 2, size, size) of one patient, minus the public centre.

    Finite and within `STATISTICS_NORM_BOUND` for any input, no patches and no vessels included.
    """
    centred: NDArray[np.float32] = (histograms(patches) - _CENTRE).astype(np.float32)
    return centred


def histograms(patches: Patches) -> NDArray[np.float64]:
    """Return (STATISTICS_DIM,) shares, each block summing to at most 1; with nothing to count it is zero."""
    counted = counts(patches)
    shares: NDArray[np.float64] = counted / np.maximum(totals(counted), 1)
    return shares


def patch_histograms(patches: Patches) -> NDArray[np.float32]:
    """Return (n, STATISTICS_DIM): the histograms of each patch by itself."""
    rows = [histograms(patch[None]) for patch in patches]
    return np.array(rows, dtype=np.float32).reshape(len(patches), STATISTICS_DIM)


def counts(patches: Patches) -> NDArray[np.float64]:
    """Return (STATISTICS_DIM,) how often each value was seen: voxels, borders or patches, as the block counts."""
    image = np.clip(np.nan_to_num(patches[:, 0]), -1.0, 1.0)
    vessel = patches[:, 1] > 0
    return np.concatenate([block(image, vessel) for block in _BLOCKS.values()])


def totals(counted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (..., STATISTICS_DIM): for each count, the sum of its block."""
    sums: NDArray[np.float64] = np.add.reduceat(counted, _STARTS, axis=-1)
    return np.repeat(sums, _LENGTHS, axis=-1)


def released_shares(released: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the histograms that a mean of `vessel_statistics` (STATISTICS_DIM,) stands for, noise included."""
    shares: NDArray[np.float64] = np.asarray(released, np.float64) + _CENTRE
    return shares


def _histogram(values: NDArray[np.floating], edges: Histogram) -> Histogram:
    """Return how many (len(edges) - 1,) values are in [edge, next edge); the last bin takes the rest."""
    position = np.searchsorted(edges[1:-1], values, side="right")
    return np.bincount(position.reshape(-1), minlength=len(edges) - 1).astype(np.float64)


def _vessel_levels(image: Images, vessel: Masks) -> Histogram:
    return _histogram(image[vessel], _LEVELS)


def _surround_levels(image: Images, vessel: Masks) -> Histogram:
    return _histogram(image[_surround(vessel)], _LEVELS)


def _other_levels(image: Images, vessel: Masks) -> Histogram:
    return _histogram(image[~(vessel | _surround(vessel))], _LEVELS)


def _surround(vessel: Masks) -> Masks:
    """Return what lies within `_RING` voxels of a vessel and is none, slice by slice."""
    cross = np.zeros((3, 3, 3), bool)
    cross[1, 1, :] = cross[1, :, 1] = True
    grown: Masks = binary_dilation(vessel, cross, iterations=_RING) if vessel.size else vessel
    return grown & ~vessel


def _radii(image: Images, vessel: Masks) -> Histogram:
    """Return how many vessel voxels the d-th erosion removes: a granulometry (Matheron, 1975)."""
    left = [int(vessel.sum())]
    core = vessel
    for depth in range(_DEPTHS - 1):
        core = _eroded(core, square=depth % 2 == 1)  # alternating shapes: octagons, nearly discs
        left.append(int(core.sum()))
    return -np.diff([*left, 0]).astype(np.float64)


def _eroded(mask: Masks, square: bool) -> Masks:
    core = mask.copy()
    core[:, 1:] &= mask[:, :-1]
    core[:, :-1] &= mask[:, 1:]
    rows = core.copy() if square else mask
    core[:, :, 1:] &= rows[:, :, :-1]
    core[:, :, :-1] &= rows[:, :, 1:]
    return core


def _shares(image: Images, vessel: Masks) -> Histogram:
    return _histogram(vessel.mean(axis=(1, 2)) if vessel.size else np.empty(0), _SHARE)


def _bright_shares(image: Images, vessel: Masks) -> Histogram:
    """Return the histogram over patches of the unlabelled share as bright as that patient's vessels."""
    if not vessel.any():
        return np.zeros(len(_SHARE) - 1)
    bright = ~vessel & (image > np.percentile(image[vessel], 40))
    return _histogram(bright.mean(axis=(1, 2)), _SHARE)


def _contrasts(image: Images, vessel: Masks) -> Histogram:
    """Return the histogram over patches of mean vessel minus mean surround."""
    ring = _surround(vessel)
    some = vessel.any(axis=(1, 2)) & ring.any(axis=(1, 2))
    inner = _masked_mean(image[some], vessel[some])
    return _histogram(inner - _masked_mean(image[some], ring[some]), _CONTRAST)


def _masked_mean(image: Images, mask: Masks) -> Histogram:
    mean: Histogram = (image * mask).sum(axis=(1, 2)) / np.maximum(mask.sum(axis=(1, 2)), 1)
    return mean


def _grain(image: Images, vessel: Masks) -> Histogram:
    """Return the histogram of what the noise operator of Immerkaer (1996) leaves, outside vessels."""
    rows = image[:, 2:] - 2 * image[:, 1:-1] + image[:, :-2]
    residual = np.abs(rows[:, :, 2:] - 2 * rows[:, :, 1:-1] + rows[:, :, :-2]) / 6.0
    return _histogram(residual[~vessel[:, 1:-1, 1:-1]], _GRAIN)


def _slopes(image: Images, vessel: Masks) -> Histogram:
    """Return the histogram of differences between means of 4 x 4 voxels: texture beyond the noise."""
    n, rows, columns = image.shape[0], image.shape[1] // 4, image.shape[2] // 4
    coarse = image[:, : rows * 4, : columns * 4].reshape(n, rows, 4, columns, 4).mean(axis=(2, 4))
    down, across = np.abs(np.diff(coarse, axis=1)), np.abs(np.diff(coarse, axis=2))
    return _histogram(np.concatenate([down.reshape(-1), across.reshape(-1)]), _SLOPE)


def _edges(image: Images, vessel: Masks) -> Histogram:
    """Return the histogram of brightness steps across the border of vessels: how sharp they are."""
    down = np.abs(np.diff(image, axis=1))[np.diff(vessel, axis=1)]
    across = np.abs(np.diff(image, axis=2))[np.diff(vessel, axis=2)]
    return _histogram(np.concatenate([down, across]), _CONTRAST / 1.5)


def _pieces(image: Images, vessel: Masks) -> Histogram:
    """Return the histogram over patches of the number of separate vessels."""
    plane = np.zeros((3, 3, 3), bool)
    plane[1] = True
    numbers = label(vessel, plane)[0] if vessel.size else np.zeros(vessel.shape, int)
    counts = [len(np.unique(one)) - 1 if mask.any() else 0 for one, mask in zip(numbers, vessel, strict=True)]
    return _histogram(np.array(counts), _COUNTS)


_BLOCKS: dict[str, Callable[[Images, Masks], Histogram]] = {
    "vessel levels": _vessel_levels,
    "surround levels": _surround_levels,
    "other levels": _other_levels,
    "radii": _radii,
    "vessel share": _shares,
    "bright unlabelled share": _bright_shares,
    "contrast": _contrasts,
    "grain": _grain,
    "slopes": _slopes,
    "edges": _edges,
    "pieces": _pieces,
}

# Mean histograms of public phantoms, made by `shared.phantoms.calibration.public_centre`; a constant of the
# protocol: sites and coordinator must subtract the same numbers.
_CENTRE = np.array(json.loads(Path(__file__).with_name("vessel_statistics_centre.json").read_text()))

STATISTICS_DIM = _CENTRE.size
_LENGTHS = [len(block(np.empty((0, 4, 4), np.float32), np.empty((0, 4, 4), bool))) for block in _BLOCKS.values()]
_STARTS = np.cumsum([0, *_LENGTHS[:-1]])
STATISTICS_NORM_BOUND = float(np.sqrt(len(_BLOCKS)) + np.linalg.norm(_CENTRE))
STATISTICS_CLIP = 1.5
