"""From signal to tracer: the change of the transverse relaxation rate, ΔR2* = -ln(S / S0) / TE."""

import numpy as np
from numpy.typing import NDArray

from shared.imaging.perfusion.baseline import Baseline

Signal = NDArray[np.floating]  # (n, t), arbitrary units

_LEAST = 1e-3  # of the baseline, that a signal counts as: a magnitude of 0 has no logarithm


def relaxation(signal: Signal, baseline: Baseline, echo_s: float) -> Signal:
    """Return ΔR2* in 1/s, (n, t); 0 in frames before the baseline, and for curves without a signal in it.

    Only ratios of signals count: whatever the scanner's gain, the result is the same.
    """
    level = signal[:, baseline.frames].mean(axis=1, keepdims=True)
    share = np.divide(signal, level, out=np.ones_like(signal), where=level > 0)
    rate = -np.log(np.maximum(share, _LEAST)) / echo_s
    rate[:, : baseline.first] = 0
    same: Signal = rate.astype(signal.dtype, copy=False)
    return same


def noise_of(signal: Signal, baseline: Baseline) -> float:
    """Return the deviation of the signal's noise: the median over curves of that over the baseline's frames."""
    return float(np.median(signal[:, baseline.frames].std(axis=1, ddof=1))) if len(signal) else 0.0
