"""Curves and true maps of many voxels at once, of which most have a curve in common with others.

A curve depends on a voxel's transit time and delay alone, but for its height. Both are rounded to steps finer than
any method resolves, each curve that is left is made once, and the maps are those of the rounded values: exact.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from shared.errors import UsageError
from shared.phantoms.bolus import Bolus, Residue, tissue_concentration

_MTT_STEP = 0.02  # of its logarithm
_DELAY_STEP_S = 0.1
_PEAK_WITHIN_S = 60.0  # after the bolus has come to the artery; the search's span and step
_PEAK_STEP_S = 0.25
Values = NDArray[np.float32]


@dataclass(frozen=True)
class Flow:
    """Tracer kinetics of one patient."""

    bolus: Bolus  # in the artery that all delays count from
    residue: Residue
    dispersion: float  # seconds of exponential dispersion a second of delay; delays below 0 have none


class Maps(NamedTuple):
    """True maps of n voxels, (n,) each."""

    cbf: Values  # ml/100 g/min
    cbv: Values  # ml/100 g
    mtt: Values  # s
    tmax: Values  # s, of the maximum of flow · residue, dispersion included, after the bolus came to the artery
    ttp: Values  # s, of the maximum of the concentration, after the bolus came to the artery


def tissue(
    flow: Flow, times: NDArray[np.float64], cbf: Values, mtt: Values, delay_s: Values
) -> tuple[Values, Maps]:
    """Return concentrations in mM (n, t) at `times` (t,) in s, and the maps.

    `cbf` (n,) is in ml/100 g/min and may be 0, `mtt` and `delay_s` (n,) are in seconds.

    Raises:
        UsageError: a box residue with dispersion. Its maximum is at its end however little it is dispersed, at
            its start if it is not: there is no Tmax that means anything.
    """
    if flow.residue is Residue.BOX and flow.dispersion > 0:
        raise UsageError("a box residue has no Tmax where it is dispersed; set the dispersion to 0")
    steps = np.stack([np.rint(np.log(mtt) / _MTT_STEP), np.rint(delay_s / _DELAY_STEP_S)], axis=1)
    unique, voxel = np.unique(steps.astype(np.int16), axis=0, return_inverse=True)
    transit, delay = np.exp(_MTT_STEP * unique[:, 0]), _DELAY_STEP_S * unique[:, 1]
    dispersion = flow.dispersion * np.maximum(delay, 0)

    def curves(at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the concentration at a blood volume of 1 ml/100 g."""
        form = {"delay_s": delay, "dispersion_s": dispersion, "kind": flow.residue}
        return tissue_concentration(flow.bolus, at, cbf=60 / transit, cbv=np.ones_like(transit), **form)

    mtt = transit[voxel].astype(np.float32)
    cbv = (cbf * mtt / 60).astype(np.float32)
    after = np.arange(0, _PEAK_WITHIN_S, _PEAK_STEP_S)
    ttp = _peak(curves(flow.bolus.arrival_s + after), after)
    tmax = delay + residue_peak(flow.residue, transit, dispersion)
    concentration = curves(times).astype(np.float32)[voxel]
    concentration *= cbv[:, None]
    late, peak = (seconds.astype(np.float32)[voxel] for seconds in (tmax, ttp))
    return concentration, Maps(np.asarray(cbf, np.float32), cbv, mtt, late, peak)


def residue_peak(kind: Residue, mtt: NDArray[np.float64], dispersion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return when (n,) a residue after exponential dispersion is highest, s; 0 without dispersion.

    The dispersed residue f obeys θ f' = R - f, so it is highest where it crosses R.

    Raises:
        UsageError: there is no formula for that residue.
    """
    theta = np.maximum(dispersion, 1e-9)
    match kind:
        case Residue.EXPONENTIAL:
            ratio = np.where(np.abs(theta - mtt) < 1e-6 * mtt, theta * (1 + 1e-5), theta) / mtt
            found = mtt * ratio * np.log(ratio) / (ratio - 1)
        case Residue.TRIANGULAR:
            found = theta * np.log1p(2 * mtt / theta)
        case Residue.BOX:
            found = mtt
        case _:
            raise UsageError(f"no Tmax is known for a {kind} residue; use another")
    return np.where(dispersion > 0, found, 0.0)


def _peak(curves: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return when (n,) curves (n, t) are highest, by a parabola through three samples."""
    top = np.clip(curves.argmax(axis=1), 1, len(times) - 2)
    before, at, after = (curves[np.arange(len(curves)), top + step] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    shift = np.where(bend < 0, (before - after) / (2 * np.where(bend < 0, bend, -1.0)), 0.0)
    return np.asarray(times[top] + np.clip(shift, -1, 1) * (times[1] - times[0]))
