"""Flow and residue function from a tissue's curve and its artery's: deconvolution by truncated SVD.

Tissue is the artery's curve convolved with F · R(t). Put on a circle of twice the length, the convolution is a
circulant matrix; its singular vectors are waves and its singular values the artery's spectrum, so that the
decomposition is a Fourier transform and no matrix is ever built (Gall et al., 2010). On the circle the result
does not depend on whether tissue sees the bolus before or after the artery (Wu et al., 2003).

  osvd  circulant; each curve is cut at the lowest threshold at which its residue no longer oscillates
  csvd  circulant; one threshold for all
  ssvd  the causal matrix (Østergaard et al., 1996): its flow falls with delay, so it is for comparison only
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.linalg import svd, toeplitz

Curves = NDArray[np.floating]  # (n, t)

LEVELS = np.arange(100) / 100  # thresholds that oSVD tries, of the largest singular value


class Method(StrEnum):
    """Which matrix is decomposed, and how it is cut."""

    OSVD = "osvd"
    CSVD = "csvd"
    SSVD = "ssvd"


class Operator(StrEnum):
    """How the integral of the convolution is taken between frames."""

    LINEAR = "linear"  # both curves linear between frames: weights 1, 4, 1 over 6
    RECTANGULAR = "rectangular"  # constant


LIMITS = {Method.OSVD: 0.035, Method.CSVD: 0.1, Method.SSVD: 0.2}  # Wu et al. (2003), at low signal-to-noise ratio


@dataclass(frozen=True)
class Deconvolution:
    """How residue functions are found."""

    method: Method = Method.OSVD
    operator: Operator = Operator.LINEAR
    limit: float | None = None  # oscillation index for osvd, else share of the largest value; None: of `LIMITS`

    @property
    def cut(self) -> float:
        """The limit that holds."""
        return LIMITS[self.method] if self.limit is None else self.limit

    def residues(self, tissue: Curves, artery: Curves, step_s: float) -> Curves:
        """Return F · R in 1/s, (n, 2t), at lags 0, 1, ... t - 1, -t, ... -1 frames.

        Args:
            tissue: concentrations (n, t), in the artery's unit; the result has its precision.
            artery: concentrations (t,), not all zero.
            step_s: time between frames.
        """
        if self.method is Method.SSVD:
            return self._causal(tissue, artery, step_s)
        size = 2 * tissue.shape[1]
        response = (fft.rfft(artery, size) * step_s * self._weights(size)).astype(np.result_type(tissue, 1j))
        strength = np.abs(response) / np.abs(response).max()
        with np.errstate(divide="ignore", invalid="ignore"):  # what is divided by nothing is cut
            ratio = fft.rfft(tissue, size) / response
        if self.method is Method.CSVD:
            return _kept(ratio, strength >= self.cut, size)
        return _without_oscillation(ratio, strength, size, self.cut)

    def _weights(self, size: int) -> NDArray[np.float64]:
        """Return the operator's transform at the frequencies of `size` points."""
        if self.operator is Operator.RECTANGULAR:
            return np.ones(size // 2 + 1)
        return np.asarray((4 + 2 * np.cos(2 * np.pi * np.arange(size // 2 + 1) / size)) / 6)

    def _causal(self, tissue: Curves, artery: Curves, step_s: float) -> Curves:
        """Return the residues of the lower triangular matrix; at negative lags they are 0."""
        before, after = (0.0, 0.0) if self.operator is Operator.RECTANGULAR else (1 / 6, 1 / 6)
        shifted = np.pad(artery, 1)
        column = before * shifted[:-2] + (1 - before - after) * artery + after * shifted[2:]
        left, values, right = svd(step_s * toeplitz(column, np.zeros_like(column)))
        kept = values >= self.cut * values[0]
        inverse = (right[kept].T / values[kept]) @ left[:, kept].T
        return np.pad(tissue @ inverse.T.astype(tissue.dtype), ((0, 0), (0, tissue.shape[1])))


def oscillation(residues: Curves) -> Curves:
    """Return the oscillation index (n,) of residues (n, l), mean |2nd difference| / maximum (Wu et al., 2003).

    Differences are taken all around the circle. Left open between its last and first point, the index would miss
    the jump of a residue without delay, and see that of a late one: flow would depend on delay after all.
    """
    bends = np.abs(np.diff(residues, 2, axis=1, append=residues[:, :2])).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        index: Curves = bends / (residues.shape[1] * residues.max(axis=1))
    return index


def _kept(ratio: NDArray[np.complexfloating], kept: NDArray[np.bool_], size: int) -> Curves:
    residues: Curves = fft.irfft(np.where(kept, ratio, 0), size)
    return residues


def _without_oscillation(
    ratio: NDArray[np.complexfloating], strength: NDArray[np.floating], size: int, limit: float
) -> Curves:
    """Return each curve's residue at the lowest of `LEVELS` where its oscillation index is below the limit."""
    residues = np.zeros((len(ratio), size), ratio.real.dtype)
    waiting, before = np.arange(len(ratio)), -1
    for level in LEVELS:
        kept = strength >= level
        if kept.sum() == before:
            continue  # the same frequencies as at the level below
        before = kept.sum()
        tried = _kept(ratio[waiting], kept, size)
        residues[waiting] = tried
        waiting = waiting[oscillation(tried) >= limit]  # an empty curve's index is no number, and passes
        if not len(waiting):
            break
    return residues
