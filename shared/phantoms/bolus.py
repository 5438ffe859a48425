"""A bolus of contrast agent on its way: artery, tissue, signal. The forward model of perfusion imaging.

An artery delivers C_a(t); tissue keeps of it what has not left yet (Østergaard et al., 1996):

    C(t) = ρ/kH · CBF · (C_a * d * R)(t - delay)

R(t), the residue function, is the share of tracer still there t seconds after it came: 1 at the start, with
area MTT = CBV / CBF. It is given by its transit times h, R = 1 - ∫h, because their transforms are short
formulas: the convolution is then exact for every delay and MTT, not only for those a time grid can hold.

Units: time s; concentration mM; CBF ml/100 g/min; CBV ml/100 g; ΔR2* 1/s. Curves have time as last axis.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc
from scipy.stats import gamma as gamma_distribution

from shared.imaging.perfusion.blood import BLOOD, Blood

Curve = NDArray[np.float64]  # (..., t)
Numbers = NDArray[np.floating]  # what is given, in any precision
Spectrum = NDArray[np.complex128]  # (..., f)

TISSUE_RELAXIVITY = 95.0  # 1/s/mM: capillaries spoil the field far beyond themselves
ARTERY_RELAXIVITY = 5.0  # 1/s/mM: blood alone. Without calibration, absolute maps are wrong by their ratio

_STEP_S = 0.05  # of the grid on which the artery's transform is taken
_FADE = 0.25  # of the series' length, in which the artery's curve is faded out after the last frame
_TAILS = 15.0  # transit times after which no tracer is left, exp(-15) of it
_NEGLIGIBLE = 1e-5  # of the artery's transform; higher frequencies are left out
_CHUNK = 4096  # curves at a time, which bounds memory


class Residue(StrEnum):
    """How tracer leaves tissue: the family of the residue function."""

    EXPONENTIAL = "exponential"  # a well-mixed compartment
    BOX = "box"  # plug flow: all transit times alike
    TRIANGULAR = "triangular"  # transit times spread evenly from 0 to 2 MTT
    GAMMA = "gamma"  # transit times of a gamma distribution of shape 3: between exponential and box


@dataclass(frozen=True)
class Bolus:
    """Concentration in an artery: a gamma-variate (Thompson et al., 1964), its recirculation, and a tail.

    The first pass is A · x^a · exp(-x), x = (t - arrival) / width; it peaks a · width after its arrival.
    """

    arrival_s: float = 15.0
    shape: float = 3.0  # a; how steep the rise is
    width_s: float = 1.5
    peak: float = 6.0  # of the first pass, mM
    recirculation: float = 0.12  # area of the second pass, of the first
    recirculation_s: float = 10.0  # how much later it comes, twice as broad
    tail: float = 0.03  # level that stays in the blood, of the peak

    def __call__(self, times: Numbers) -> Curve:
        """Return the concentration in mM at times in seconds."""
        first = gamma_distribution(self.shape + 1, loc=self.arrival_s, scale=self.width_s)
        late = self.arrival_s + self.recirculation_s
        second = gamma_distribution(self.shape + 1, loc=late, scale=2 * self.width_s)
        height = first.pdf(self.arrival_s + self.shape * self.width_s)
        passes = (first.pdf(times) + self.recirculation * second.pdf(times)) / height
        stays = gammainc(self.shape + 1, np.clip(times - self.arrival_s, 0, None) / (2 * self.width_s))
        curve: Curve = self.peak * (passes + self.tail * stays)
        return curve


def residue(kind: Residue, times: ArrayLike, mtt: ArrayLike) -> Curve:
    """Return R(t) at times >= 0 for mean transit times in seconds; the two broadcast."""
    x = np.asarray(times, np.float64) / np.asarray(mtt, np.float64)
    match kind:
        case Residue.EXPONENTIAL:
            return np.exp(-x)
        case Residue.BOX:
            return np.where(x < 1, 1.0, 0.0)
        case Residue.TRIANGULAR:
            return np.clip(1 - x / 2, 0, None)
        case Residue.GAMMA:
            left: Curve = 1 - gammainc(3, 3 * x)
            return left


def tissue_concentration(
    bolus: Bolus,
    times: Numbers,
    *,
    cbf: ArrayLike,
    cbv: ArrayLike,
    delay_s: ArrayLike = 0.0,
    dispersion_s: ArrayLike = 0.0,
    kind: Residue = Residue.EXPONENTIAL,
    blood: Blood = BLOOD,
) -> Curve:
    """Return the concentration (n, t) in mM of n pieces of tissue.

    Args:
        bolus: what comes down the artery.
        times: of the frames (t,), from 0 on; any spacing.
        cbf: flow, ml/100 g/min, above 0.
        cbv: blood volume, ml/100 g, above 0. MTT is 60 · cbv / cbf.
        delay_s: how much later than in the artery the bolus comes; may be negative, and no multiple of anything.
        dispersion_s: mean of the exponential by which the bolus is smeared on its way (Calamante et al., 2000).
        kind: family of residue functions, one for all n.
        blood: constants of the kinetics.
    """
    values = np.broadcast_arrays(
        *(np.atleast_1d(np.asarray(v, np.float64)) for v in (cbf, cbv, delay_s, dispersion_s))
    )
    flow, volume, delay, dispersion = (v.reshape(-1) for v in values)
    mtt = 60 * volume / flow
    slowest = float(mtt.max() + dispersion.max())
    omega, artery = _artery_spectrum(bolus, float(times[-1]), slowest, float(np.abs(delay).max()))
    back = np.exp(1j * omega[:, None] * times)  # inverse transform, at the frames only
    out = np.empty((len(flow), len(times)))
    for start in range(0, len(flow), _CHUNK):
        part = slice(start, start + _CHUNK)
        late = np.exp(-1j * omega * delay[part, None]) / (1 + 1j * omega * dispersion[part, None])
        spectrum = artery * late * residue_spectrum(kind, omega, mtt[part, None])
        scale = flow[part, None] / 6000 / blood.factor  # 6000: 100 g and a minute
        out[part] = scale * (spectrum.real @ back.real - spectrum.imag @ back.imag)
    return out


def residue_spectrum(kind: Residue, omega: Numbers, mtt: Numbers) -> Spectrum:
    """Return the transform of R(t), (1 - transform of h) / iω, at angular frequencies in rad/s; MTT at 0."""
    s = 1j * np.where(omega == 0, 1.0, omega)  # 0 is put right below
    match kind:
        case Residue.EXPONENTIAL:
            transit = 1 / (1 + s * mtt)
        case Residue.BOX:
            transit = np.exp(-s * mtt)
        case Residue.TRIANGULAR:
            transit = (1 - np.exp(-2 * s * mtt)) / (2 * s * mtt)
        case Residue.GAMMA:
            transit = (1 + s * mtt / 3) ** -3
    spectrum: Spectrum = np.where(omega == 0, mtt, (1 - transit) / s)
    return spectrum


def to_signal(concentration: Numbers, baseline: ArrayLike, echo_s: float, relaxivity: float) -> Curve:
    """Return the signal S0 · exp(-TE · ΔR2*) of a gradient echo at `echo_s`, ΔR2* = relaxivity · C (1/s/mM).

    `baseline` is S0, in arbitrary units, without the axis of time. The relaxivities above make grey matter lose
    40 % of its signal at 30 ms and an artery 60 %; they are of that order, not those of any one agent.
    """
    level = np.asarray(baseline, np.float64)[..., None]
    signal: Curve = level * np.exp(-echo_s * relaxivity * concentration)
    return signal


def rician(signal: Numbers, sigma: ArrayLike, rng: np.random.Generator) -> Curve:
    """Return the magnitude of the signal with complex Gaussian noise of deviation `sigma` (Gudbjartsson, 1995)."""
    real, imaginary = rng.standard_normal((2, *signal.shape))
    magnitude: Curve = np.hypot(signal + sigma * real, sigma * imaginary)
    return magnitude


def _artery_spectrum(bolus: Bolus, end: float, slowest: float, delay: float) -> tuple[Curve, Spectrum]:
    """Return angular frequencies (f,) and the artery's transform there, scaled for the sum that inverts it.

    The transform is periodic: the period is so long that what comes round again is nothing, and the curve is
    faded out beyond the last frame, where no frame can see it, so that no edge rings through all of them.
    """
    period = (1 + _FADE) * (end + delay) + _TAILS * slowest + delay
    steps = int(np.ceil(period / _STEP_S))
    times = _STEP_S * np.arange(steps, dtype=np.float64)
    beyond = np.clip((times - end - delay) / (_FADE * (end + delay)), 0, 1)
    transform = np.fft.rfft(bolus(times) * (1 + np.cos(np.pi * beyond)) / 2) / steps
    transform[1:] *= 2  # of a real curve: the negative frequencies
    last = int(np.flatnonzero(np.abs(transform) > _NEGLIGIBLE * np.abs(transform).max())[-1])
    omega = 2 * np.pi * np.arange(last + 1, dtype=np.float64) / (steps * _STEP_S)
    return omega, transform[: last + 1]
