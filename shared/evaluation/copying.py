"""Whether a data set holds copies of patients it was trained on, from two noised histograms of distance.

A share of the patients trained on, and of others that nobody trained on, lies nearer to the data set than some
public distance. If the groups are alike but for the training, what the first have more of was copied: with
shares t and h, the share copied is κ = (t - h) / (1 - h), for a copied patient is near wherever it would have
been. The test inverts t = h + κ (1 - h) as Fieller (1954) does, with the variance of the mechanism's noise, which
is known, and that of the patients' sampling (Agresti & Caffo, 2000), which holds with few or no patients near.

Pure, and post-processing: it costs nobody anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

CONFIDENCE = (
    0.95  # that no end of an interval at any distance lies on the wrong side, for lower and upper ends each
)
POWER = 0.8
TOLERATED = 0.1  # share copied that must be ruled out to pass
_SHARES = np.linspace(0.0, 1.0, 1001)  # κ that are tried

Verdict = Literal["passed", "failed", "cannot tell"]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Near:
    """One group's noised share below one edge, in [0, 1]; `variance` of noise and sampling together."""

    share: float
    noise_variance: float
    patients: int

    def variance(self, share: float | Floats) -> float | Floats:
        """Return the variance of the noised share if the true one is `share`."""
        smoothed = (self.patients * share + 1) / (self.patients + 2)
        return self.noise_variance + smoothed * (1 - smoothed) / (self.patients + 2)


@dataclass(frozen=True)
class Histogram:
    """What one group's query said.

    Attributes:
        shares: noised share of patients in each bin, nearest first.
        noise_std: of each.
        patients: how many were asked, which is public.
    """

    shares: tuple[float, ...]
    noise_std: float
    patients: int

    def near(self) -> list[Near]:
        """Return the shares below each edge; that all bins add up to 1 takes some noise off."""
        bins = len(self.shares)
        missing = (1 - sum(self.shares)) / bins
        below = accumulate(share + missing for share in self.shares[:-1])
        return [
            Near(min(1.0, max(0.0, share)), self.noise_std**2 * k * (1 - k / bins), self.patients)
            for k, share in enumerate(below, start=1)
        ]


@dataclass(frozen=True)
class Excess:
    """What was found at one public distance: noised shares, the share copied and its interval."""

    nearer_than: float
    trained: float
    held_out: float
    copied: float
    low: float
    high: float
    held_out_nearer: bool  # beyond chance: then the groups differ by more than the training


@dataclass(frozen=True)
class Finding:
    """The outcome at all distances.

    Attributes:
        detectable: smallest share copied that would have been found with a chance of `POWER`; None: not even if
            all were.
    """

    verdict: Verdict
    excesses: tuple[Excess, ...]
    detectable: float | None
    tolerated: float


def find_copies(
    trained: Histogram, held_out: Histogram, edges: Sequence[float], tolerated: float = TOLERATED
) -> Finding:
    """Return what two histograms over the bins between `edges` say of the patients trained on.

    Failed: at some distance more of them are near than chance explains. Passed: at every distance a share copied
    of `tolerated` or more is ruled out. Else nobody can tell; nor where the other group is nearer, for then the
    two are not alike.
    """
    z = float(norm.ppf(1 - (1 - CONFIDENCE) / len(edges)))  # Bonferroni: several distances, one answer
    pairs = list(zip(trained.near(), held_out.near(), strict=True))
    excesses = tuple(_excess(edge, *pair, z) for edge, pair in zip(edges, pairs, strict=True))
    seen = [share for pair in pairs if (share := _detectable(*pair, z)) is not None]
    return Finding(_verdict(excesses, tolerated), excesses, min(seen, default=None), tolerated)


def _verdict(excesses: Sequence[Excess], tolerated: float) -> Verdict:
    if any(one.low > 0 for one in excesses):
        return "failed"
    if any(one.held_out_nearer for one in excesses) or any(one.high >= tolerated for one in excesses):
        return "cannot tell"
    return "passed"


def _excess(edge: float, trained: Near, held_out: Near, z: float) -> Excess:
    t, h = trained.share, held_out.share
    deviation = np.sqrt(trained.variance(t) + (1 - _SHARES) ** 2 * held_out.variance(h))
    off = (t - h - _SHARES * (1 - h)) / deviation  # falls as more are taken for copied
    low = _SHARES[off > z].max(initial=0.0)
    high = _SHARES[off >= -z].max(initial=0.0)
    copied = max(0.0, (t - h) / (1 - h)) if h < 1 else 0.0
    return Excess(edge, t, h, copied, float(low), float(high), bool(off[0] < -z))


def _detectable(trained: Near, held_out: Near, z: float) -> float | None:
    """Return the least share copied that is found with a chance of `POWER`."""
    h = held_out.share
    expected = h + _SHARES * (1 - h)
    deviation = np.sqrt(trained.variance(expected) + held_out.variance(h))
    enough = expected - h >= (z + norm.ppf(POWER)) * deviation
    return float(_SHARES[enough].min()) if enough.any() else None
