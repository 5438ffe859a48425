"""The arterial input function, found without a person: tall, early, narrow and clean curves that agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from shared.errors import CohortError, UsageError
from shared.imaging.perfusion.baseline import Baseline
from shared.imaging.perfusion.relaxation import relaxation

Signal = NDArray[np.floating]  # (n, t)
Index = NDArray[np.intp]  # (m,)
Voxel = tuple[int, int, int]

VOXELS = 8  # whose mean the input is
_POOL = 0.02  # of the brain's voxels: the tallest, of which most are vessels
_LEAST_POOL = 4 * VOXELS
_SHORTLIST = 3 * VOXELS  # best of the pool; those that differ most from the others are dropped
_TALLER, _NARROWER = 1.5, 0.9  # an artery's curve, beside the brain's mean
_FLOOR = 0.05  # of its baseline: a signal below has been swallowed whole
_NOISES = 3  # deviations of the noise: below, a magnitude shows noise


@dataclass(frozen=True)
class Vessels:
    """Curves that may be chosen, with what they are judged by; each (n,)."""

    rate: Signal  # (n, t), ΔR2* in 1/s
    height: NDArray[np.floating]
    peak: NDArray[np.intp]  # frame
    width: NDArray[np.floating]  # area over height, frames
    roughness: NDArray[np.floating]  # mean |2nd difference| over height

    @classmethod
    def of(cls, rate: Signal) -> "Vessels":
        """Judge curves (n, t)."""
        height = np.maximum(rate.max(axis=1), 1e-9)
        rough = np.abs(np.diff(rate, 2, axis=1)).mean(axis=1) / height
        return cls(rate, height, rate.argmax(axis=1), rate.sum(axis=1) / height, rough)


def saturated(signal: Signal, baseline: Baseline, noise: float) -> NDArray[np.bool_]:
    """Return which curves (n, t) fall to the noise floor, where ΔR2* no longer follows the tracer."""
    level = signal[:, baseline.frames].mean(axis=1)
    low: NDArray[np.bool_] = signal[:, baseline.first :].min(axis=1) < np.maximum(_NOISES * noise, _FLOOR * level)
    return low


def find_artery(signal: Signal, baseline: Baseline, echo_s: float, noise: float) -> Index:
    """Return the rows of the brain's curves (n, t) whose mean is the arterial input function.

    Raises:
        CohortError: what is left without saturated curves does not look like an artery.
    """
    clear = np.flatnonzero(~saturated(signal, baseline, noise))
    tall = clear[_tallest(signal[clear], baseline)]
    found = Vessels.of(relaxation(signal[tall], baseline, echo_s))
    merits = (found.height, -found.peak, -found.width, -found.roughness)
    score = sum(rankdata(merit) for merit in merits)
    best = np.argsort(-score, kind="stable")[:_SHORTLIST]
    rows = np.asarray(tall[best[_agreeing(found.rate[best])]])
    _check(
        relaxation(signal[rows], baseline, echo_s), relaxation(signal, baseline, echo_s), len(signal) - len(clear)
    )
    return rows


def find_vein(signal: Signal, baseline: Baseline, echo_s: float, noise: float, artery: Index) -> Index:
    """Return the rows of the tall curves with the largest areas that peak after the artery: the venous output.

    Raises:
        CohortError: fewer than `VOXELS` curves that are not saturated peak later.
    """
    clear = np.flatnonzero(~saturated(signal, baseline, noise))
    tall = clear[_tallest(signal[clear], baseline)]
    found = Vessels.of(relaxation(signal[tall], baseline, echo_s))
    arterial = relaxation(signal[artery], baseline, echo_s).mean(axis=0).argmax()
    later = np.flatnonzero(found.peak > arterial)
    if len(later) < VOXELS:
        raise CohortError("no vein is found that is not saturated; use another calibration")
    return np.asarray(tall[later[np.argsort(-found.rate[later].sum(axis=1), kind="stable")[:VOXELS]]])


def given_artery(
    voxels: Sequence[Voxel], brain: NDArray[np.bool_], signal: Signal, baseline: Baseline, noise: float
) -> Index:
    """Return the rows of a person's voxels (i, j, k) among the brain's curves (n, t), which are in array order.

    Raises:
        UsageError: a voxel is outside the image or the brain, or all are saturated.
    """
    row = np.cumsum(brain).reshape(brain.shape) - 1
    for voxel in voxels:
        inside = all(0 <= at < edge for at, edge in zip(voxel, brain.shape, strict=True))
        if not inside or not brain[voxel]:
            where = "brain" if inside else f"image of {' x '.join(map(str, brain.shape))} voxels"
            raise UsageError(f"AIF voxel {voxel} is outside the {where}; indices i j k count from 0")
    rows = np.array([row[voxel] for voxel in voxels])
    if saturated(signal[rows], baseline, noise).all():
        raise UsageError("the signal of every AIF voxel falls to the noise; give voxels of a smaller artery")
    return rows


def _check(artery: Signal, brain: Signal, swallowed: int) -> None:
    """Refuse an input that is no taller and narrower than the brain's mean curve: tissue, or a vein's edge."""
    input_, mean = (Vessels.of(rate.mean(axis=0, keepdims=True)) for rate in (artery, brain))
    if input_.height < _TALLER * mean.height or input_.width > _NARROWER * mean.width:
        msg = f"no artery is found: the curves that fall most look like tissue; {swallowed} voxels are saturated"
        raise CohortError(
            f"{msg} (their signal falls to the noise); give voxels of an artery that is not, with --aif"
        )


def _tallest(signal: Signal, baseline: Baseline) -> Index:
    """Return the rows with the largest fall, averaged over three frames, which no single spike makes."""
    level = signal[:, baseline.frames].mean(axis=1)
    after = signal[:, baseline.end - 1 :]
    low = (after[:, :-2] + after[:, 1:-1] + after[:, 2:]).min(axis=1) / 3
    share = np.divide(low, level, out=np.ones_like(low), where=level > 0)
    count = min(len(signal), max(_LEAST_POOL, int(_POOL * len(signal))))
    return np.argsort(share, kind="stable")[:count]


def _agreeing(rate: Signal) -> Index:
    """Return the `VOXELS` rows whose shapes agree most with the median shape, in their order."""
    shape = rate / rate.sum(axis=1, keepdims=True)
    kept = np.arange(len(rate))
    while len(kept) > VOXELS:
        apart = np.abs(shape[kept] - np.median(shape[kept], axis=0)).sum(axis=1)
        kept = np.delete(kept, apart.argmax())
    return kept
