"""The five maps from curves: flow, volume, and three times."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.imaging.perfusion.blood import BLOOD, Blood
from shared.imaging.perfusion.deconvolution import Curves, Deconvolution, Method
from shared.imaging.scan import Role

Values = NDArray[np.floating]  # (n,)

UNITS = {Role.CBF: "ml/100 g/min", Role.CBV: "ml/100 g", Role.MTT: "s", Role.TMAX: "s", Role.TTP: "s"}
NAMES = {
    Role.CBF: "cerebral blood flow",
    Role.CBV: "cerebral blood volume",
    Role.MTT: "mean transit time, CBV / CBF",
    Role.TMAX: "time of the residue function's maximum",
    Role.TTP: "time to peak, from the bolus's onset at the artery",
}

ONSET = 0.1  # of its peak, at which an artery's curve has begun
_FADE = 0.25  # of the frames, over which both curves are faded out before they are put on a circle


@dataclass(frozen=True)
class Artery:
    """The arterial input function: a curve (t,) of ΔR2* in 1/s, and the time between its frames."""

    curve: NDArray[np.float64]
    step_s: float

    @property
    def onset_s(self) -> float:
        """When the curve passes `ONSET` of its peak, on straight lines between frames, from the first frame."""
        peak = int(self.curve.argmax())
        level = ONSET * self.curve[peak]
        before = int(np.flatnonzero(self.curve[:peak] < level)[-1]) if (self.curve[:peak] < level).any() else 0
        low, high = self.curve[before], self.curve[before + 1]
        return float(self.step_s * (before + (level - low) / (high - low)))


def perfusion(tissue: Curves, artery: Artery, how: Deconvolution, blood: Blood = BLOOD) -> dict[Role, Values]:
    """Return CBF, CBV, MTT, Tmax and TTP, each (n,), of tissue curves (n, t) in the artery's unit.

    MTT is 60 · CBV / CBF by definition, 0 where there is no flow. A volume below 0, which noise or leakage can
    give, counts as 0. Tmax is the lag of the residue's maximum, and may be negative; it is delay, and smear by
    dispersion and by the cut: some 1 to 3 s where there is no delay at all.

    Args:
        tissue: ΔR2* in 1/s.
        artery: its input.
        how: of the deconvolution.
        blood: constants for CBF and CBV, which are absolute only after calibration.
    """
    fade = 1.0 if how.method is Method.SSVD else _fade(tissue.shape[1]).astype(tissue.dtype)
    residues = how.residues(tissue * fade, artery.curve * fade, artery.step_s)
    height, lag = _maximum(residues)
    flow = 6000 * blood.factor * np.clip(height, 0, None)
    volume = 100 * blood.factor * np.clip(tissue.sum(axis=1) / artery.curve.sum(), 0, None)
    transit = np.divide(60 * volume, flow, out=np.zeros_like(flow), where=flow > 0)
    _, peak = _maximum(tissue)
    late = np.where(
        lag > residues.shape[1] / 2 - 0.5, lag - residues.shape[1], lag
    )  # the circle's other half is early
    times = {Role.TMAX: artery.step_s * late, Role.TTP: artery.step_s * peak - artery.onset_s}
    return {Role.CBF: flow, Role.CBV: volume, Role.MTT: transit, **times}


def _maximum(curves: Curves) -> tuple[Values, Values]:
    """Return each curve's largest value, and where the parabola through it and its neighbours peaks, in frames."""
    rows, top = np.arange(len(curves)), curves.argmax(axis=1)
    middle = curves[rows, top]
    left, right = (curves[rows, (top + step) % curves.shape[1]] for step in (-1, 1))
    bend = left - 2 * middle + right
    shift = np.divide(left - right, 2 * bend, out=np.zeros_like(middle), where=bend < 0)
    return middle, top + np.clip(shift, -0.5, 0.5)


def _fade(frames: int) -> NDArray[np.float64]:
    """Return weights (t,) that fall from 1 to 0 over the last quarter of the frames.

    A series that ends before all tracer has left has an edge there, at which residues ring and oSVD cuts far too
    much. Weights that change little over a transit time let a convolution stay one.
    """
    last = int(_FADE * frames)
    return np.concatenate([np.ones(frames - last), (1 + np.cos(np.pi * np.arange(1, last + 1) / (last + 1))) / 2])
