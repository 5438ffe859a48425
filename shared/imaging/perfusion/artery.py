"""The arterial input function, found without a person: tall, early, narrow and clean curves that agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from shared.errors import CohortError, UsageError
from shared.imaging.perfusion.baseline import Baseline

Signal = NDArray[np.floating]  # (n, t), arbitrary units
Rate = NDArray[np.floating]  # (n, t), ΔR2* in 1/s
Index = NDArray[np.intp]  # (m,)
Voxel = tuple[int, int, int]

VOXELS = 8  # whose mean the input is
_POOL = 0.01  # of the brain's voxels: the tallest, of which most are vessels
_LEAST_POOL = 4 * VOXELS
_SHORTLIST = 2 * VOXELS  # best of the pool; those that differ most from the others are dropped
_TALLER, _NARROWER = 1.5, 0.9  # at least and at most: an artery's height and width, of the brain's mean
_LEAD = 1  # frames that an artery's curve rises before the brain's mean at least
_FLOOR = 0.05  # of its baseline: a signal below has been swallowed whole
_NOISES = 3  # deviations of the noise: below, a magnitude shows noise


@dataclass(frozen=True)
class Vessels:
    """Curves (n, t) of ΔR2* in 1/s, with what tells a vessel's; each (n,)."""

    rate: Rate
    height: NDArray[np.floating]  # 1/s, mean of three frames, which no single spike makes
    rise: NDArray[np.floating]  # when half the height is first reached, frames
    width: NDArray[np.floating]  # from there to where it falls below again, frames

    @classmethod
    def of(cls, rate: Rate) -> "Vessels":
        """Judge curves.

        The width is that at half the height. Area over height would hardly tell an artery's curve from tissue's:
        most of it is the tracer that stays in the blood, and every curve has that.
        """
        calm = (rate[:, :-2] + rate[:, 1:-1] + rate[:, 2:]) / 3
        height = np.maximum(calm.max(axis=1), 1e-9)
        rise = _crossing(calm, height / 2)
        passed = np.arange(calm.shape[1]) > calm.argmax(axis=1)[:, None]
        fall = _crossing(-np.where(passed, calm, height[:, None]), -height / 2)
        return cls(rate, height, rise, fall - rise)

    def __getitem__(self, rows: Index) -> "Vessels":
        return Vessels(*(values[rows] for values in (self.rate, self.height, self.rise, self.width)))


def saturated(signal: Signal, baseline: Baseline, noise: float) -> NDArray[np.bool_]:
    """Return which curves (n, t) fall to the noise floor, where ΔR2* no longer follows the tracer."""
    level = signal[:, baseline.frames].mean(axis=1)
    low: NDArray[np.bool_] = signal[:, baseline.first :].min(axis=1) < np.maximum(_NOISES * noise, _FLOOR * level)
    return low


def find_artery(rate: Rate, clear: NDArray[np.bool_]) -> Index:
    """Return the rows of the brain's curves (n, t) of ΔR2* whose mean is the arterial input function.

    Candidates are not saturated (`clear`) and rise a frame before the brain as a whole, as no vein does; of these,
    the tallest. They are ranked by height, rise and width, each counting alike; not by roughness, for a narrow
    curve is rougher than a broad one. Of the best, those that agree least with the others are dropped.

    Raises:
        CohortError: what is left does not look like an artery.
    """
    found, brain = Vessels.of(rate), Vessels.of(rate.mean(axis=0, keepdims=True))
    tall = _tallest(found, clear & (found.rise < brain.rise - _LEAD) & (found.height > brain.height))
    pool = found[tall]
    score = np.sum([rankdata(merit) for merit in (pool.height, -pool.rise, -pool.width)], axis=0)
    best = np.argsort(-score, kind="stable")[:_SHORTLIST]
    rows = tall[best[_agreeing(pool.rate[best])]]
    if len(rows) < VOXELS:
        raise _refused(f"{len(rows)} curves rise before the brain's, and higher; {VOXELS} are needed", clear)
    mean = Vessels.of(rate[rows].mean(axis=0, keepdims=True))
    taller, narrower = float(mean.height[0] / brain.height[0]), float(mean.width[0] / brain.width[0])
    if taller < _TALLER or narrower > _NARROWER:
        msg = (
            f"the best early curves are {taller:.2f} times as tall and {narrower:.2f} times as wide as the brain's"
        )
        raise _refused(f"{msg}, an artery's {_TALLER} or more and {_NARROWER} or less", clear)
    return rows


def find_vein(rate: Rate, clear: NDArray[np.bool_]) -> Index:
    """Return the rows of the tall curves with the largest areas that rise after the brain: the venous output.

    Raises:
        CohortError: fewer than `VOXELS` curves that are not saturated do.
    """
    found, brain = Vessels.of(rate), Vessels.of(rate.mean(axis=0, keepdims=True))
    tall = _tallest(found, clear & (found.rise > brain.rise))
    if len(tall) < VOXELS:
        raise CohortError("no vein is found that is not saturated; use another calibration")
    return tall[np.argsort(-rate[tall].sum(axis=1), kind="stable")[:VOXELS]]


def given_artery(voxels: Sequence[Voxel], brain: NDArray[np.bool_], rate: Rate, clear: NDArray[np.bool_]) -> Index:
    """Return the rows of a person's voxels (i, j, k) among the brain's, which are in array order.

    Raises:
        UsageError: a voxel is outside the image or the brain, all are saturated, or they get less than the brain.
    """
    row = np.cumsum(brain).reshape(brain.shape) - 1
    for voxel in voxels:
        inside = all(0 <= at < edge for at, edge in zip(voxel, brain.shape, strict=True))
        if not inside or not brain[voxel]:
            where = "brain" if inside else f"image of {' x '.join(map(str, brain.shape))} voxels"
            raise UsageError(f"AIF voxel {voxel} is outside the {where}; indices i j k count from 0")
    rows = np.array([row[voxel] for voxel in voxels])
    if not clear[rows].any():
        raise UsageError("the signal of every AIF voxel falls to the noise; give voxels of a smaller artery")
    given, mean = (Vessels.of(curves.mean(axis=0, keepdims=True)) for curves in (rate[rows], rate))
    if given.height < mean.height:
        raise UsageError("the AIF voxels get less tracer than the brain's mean; give voxels of an artery")
    return rows


def _refused(why: str, clear: NDArray[np.bool_]) -> CohortError:
    """Return the error that says why no artery was found, and what to do."""
    lost = (~clear).sum()
    swallowed = f" ({lost} voxels are saturated: their signal falls to the noise)" if lost else ""
    hint = "look for an artery in the series and give its voxels with --aif I J K, once for each"
    return CohortError(f"no artery is found: {why}{swallowed}; {hint}")


def _tallest(found: Vessels, allowed: NDArray[np.bool_]) -> Index:
    """Return the rows of the allowed curves with the largest heights."""
    rows = np.flatnonzero(allowed)
    count = max(_LEAST_POOL, int(_POOL * len(allowed)))
    return rows[np.argsort(-found.height[rows], kind="stable")[:count]]


def _crossing(rate: Rate, level: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return when curves (n, t) first reach their level (n,), on straight lines between frames; else the end."""
    rows, reached = np.arange(len(rate)), rate >= level[:, None]
    after = np.where(reached.any(axis=1), np.maximum(reached.argmax(axis=1), 1), rate.shape[1] - 1)
    low, high = rate[rows, after - 1], rate[rows, after]
    share = np.divide(level - low, high - low, out=np.ones_like(low), where=high > low)
    when: NDArray[np.floating] = after - 1 + np.clip(share, 0, 1)
    return when


def _agreeing(rate: Rate) -> Index:
    """Return the `VOXELS` rows whose shapes agree most with the median shape, in their order."""
    shape = rate / rate.sum(axis=1, keepdims=True)
    kept = np.arange(len(rate))
    while len(kept) > VOXELS:
        apart = np.abs(shape[kept] - np.median(shape[kept], axis=0)).sum(axis=1)
        kept = np.delete(kept, apart.argmax())
    return kept
