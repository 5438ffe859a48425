"""What a network sees of any series: ΔR2* of the brain in frames at fixed times, relative to the patient's mean.

Series differ in frames, in the time between them, in when the bolus comes and in how much of it there is; here
they are made alike, by rules that know nothing but the patient:

  * frames before steady state are left out, and the first never counts (`shared.imaging.perfusion.baseline`)
  * ΔR2* of every voxel: neither gain nor echo time of the scanner is left
  * `FRAMES` frames, `STEP_S` apart, the first `BEFORE_S` before the bolus comes to the brain, taken on straight
    lines between the series' own. Before these it is 0, as in the baseline; after, the mean of the last
    `LAST`, for to repeat the last alone would repeat its noise
  * divided by the highest ΔR2* of the brain's mean signal, so that dose does not count: no figure is learnt from
    other patients. What is outside `BOUNDS` then, as in arteries, is clipped
"""

import numpy as np
from numpy.typing import NDArray

from shared.imaging.perfusion.baseline import find_baseline
from shared.imaging.perfusion.maps import Artery
from shared.imaging.perfusion.relaxation import relaxation
from shared.imaging.scan import Timing, Volume

FRAMES = 80  # Kossen et al. (2023)
STEP_S = 1.5
BEFORE_S = 15.0
LAST = 5  # frames
BOUNDS = (-1.0, 4.0)


def frames_of(series: Volume, brain: NDArray[np.bool_], timing: Timing) -> Volume:
    """Return frames (i, j, k, `FRAMES`) of a series (i, j, k, t); 0 outside the brain (i, j, k).

    Raises:
        CohortError: no bolus, or too few frames before it.
    """
    signal = series[brain]
    mean = signal.mean(axis=0, dtype=np.float64)
    baseline = find_baseline(mean)
    curve = relaxation(mean[None], baseline, timing.echo_s)[0]
    onset = Artery(curve, timing.repetition_s).onset_s
    times = timing.repetition_s * np.arange(baseline.first, len(mean), dtype=np.float64)
    wanted = onset - BEFORE_S + STEP_S * np.arange(FRAMES, dtype=np.float64)
    weights = resampling(times, wanted) / curve.max()
    rate = relaxation(signal, baseline, timing.echo_s)[:, baseline.first :]
    frames = np.zeros((*brain.shape, FRAMES), dtype=np.float32)
    frames[brain] = np.clip(rate @ weights.astype(np.float32), *BOUNDS)
    return frames


def resampling(times: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights (t, f): curves (n, t) at `times` (t,) times these are curves at `wanted` (f,), in seconds.

    Linear between; 0 before the first time; the mean of the last `LAST` after the last.
    """
    frames = np.eye(len(times))
    between = np.array([np.interp(wanted, times, frame, left=0.0) for frame in frames])
    after = frames[-LAST:].mean(axis=0)[:, None]
    return np.where(wanted > times[-1], after, between)
