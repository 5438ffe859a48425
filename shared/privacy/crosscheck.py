"""Second opinions on the same events: Opacus' RDP and PRV accountants, and the exact price of plain Gaussians.

RDP (Mironov 2017; Balle et al. 2020) is an independent upper bound. PRV (Gopi et al. 2021) is as tight as PLD by
another route: what it returns is the upper end of its error interval, 0.01 above its estimate. Plain Gaussians
without sampling need neither: `gaussian_cost` is exact. No torch is needed (`opacus_accountants`).
"""

import math
import warnings
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from shared.privacy.accounting import PrivacyCost, check_delta, common_unit, merged
from shared.privacy.events import Spending
from shared.privacy.gaussian import gaussian_epsilon
from shared.privacy.opacus_accountants import prv_accountant, rdp_accountant

OPACUS_RDP = "RDP, Opacus"
OPACUS_PRV = "PRV, Opacus"
EXACT_GAUSSIAN = "exact Gaussian, Balle & Wang 2018"

_PRV_ERROR = 0.01  # Opacus' own default: half-width of PRV's interval for ε
_PRV_POINTS = 2**24  # Opacus holds a dozen arrays of this many float64: about 1.5 GB, a minute

_Mechanisms = tuple[tuple[float, float, int], ...]


def rdp_cost(spendings: Sequence[Spending], delta: float) -> PrivacyCost:
    """Return Opacus' RDP bound of everything in `spendings` done to one cohort.

    Raises:
        UsageError: different units, δ outside (0, 1), or Opacus is not installed.
    """
    check_delta(delta)
    epsilon = _rdp_epsilon(merged(spendings), delta) if _private(spendings) else math.inf
    return _labelled(epsilon, spendings, delta, OPACUS_RDP)


def prv_cost(spendings: Sequence[Spending], delta: float) -> PrivacyCost | None:
    """Return Opacus' PRV bound, or None where PRV cannot price them: `prv_refusal` then says why.

    Raises:
        UsageError: as `rdp_cost`.
    """
    check_delta(delta)
    epsilon, _ = _prv_epsilon(merged(spendings), delta) if _private(spendings) else (math.inf, "")
    return None if epsilon is None else _labelled(epsilon, spendings, delta, OPACUS_PRV)


def prv_refusal(spendings: Sequence[Spending], delta: float) -> str | None:
    """Return why `prv_cost` is None, in one line; None where there is a cost."""
    return _prv_epsilon(merged(spendings), delta)[1] or None if _private(spendings) else None


def gaussian_cost(spendings: Sequence[Spending], delta: float) -> PrivacyCost | None:
    """Return the exact cost of Gaussians without sampling; None if any step was sampled.

    Gaussians of noise multipliers σ_i compose exactly to one Gaussian with 1/σ² = Σ 1/σ_i² (Dong et al. 2022).
    """
    check_delta(delta)
    parts = merged(spendings)
    if any(rate < 1 for _, rate, _ in parts):
        return None
    mu = math.sqrt(math.fsum(steps / sigma**2 for sigma, _, steps in parts))
    epsilon = gaussian_epsilon(mu, delta) if _private(spendings) else math.inf
    return _labelled(epsilon, spendings, delta, EXACT_GAUSSIAN)


def _private(spendings: Sequence[Spending]) -> bool:
    return all(s.is_private for s in spendings)


def _labelled(epsilon: float, spendings: Sequence[Spending], delta: float, accountant: str) -> PrivacyCost:
    return PrivacyCost(epsilon, delta, *common_unit(spendings), accountant)


@lru_cache(maxsize=4096)
def _rdp_epsilon(mechanisms: _Mechanisms, delta: float) -> float:
    if not mechanisms:
        return 0.0
    accountant = rdp_accountant()
    accountant.history = list(mechanisms)
    with warnings.catch_warnings():
        # "the optimal order is the largest": the bound is then loose, and still a bound.
        warnings.simplefilter("ignore", UserWarning)
        return max(0.0, float(accountant.get_epsilon(delta)))  # at a large δ Opacus goes below 0


@lru_cache(maxsize=4096)
def _prv_epsilon(mechanisms: _Mechanisms, delta: float) -> tuple[float | None, str]:
    """Return (ε, ""), or (None, why not)."""
    if not mechanisms:
        return 0.0, ""
    points = _prv_points(mechanisms, delta)
    if not points <= _PRV_POINTS:
        return None, f"PRV would need a grid of {points:.2g} points (ε or the number of steps is too large)"
    accountant = prv_accountant()
    accountant.history = list(mechanisms)
    try:
        # At q = 1 Opacus takes log(1 - q) = -inf, which is right there: every loss lies above it.
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            epsilon = float(accountant.get_epsilon(delta, eps_error=_PRV_ERROR))
    except (ArithmeticError, IndexError, RuntimeError, ValueError) as err:
        return None, f"PRV failed: {err}"
    return (max(0.0, epsilon), "") if math.isfinite(epsilon) else (None, "PRV found no finite ε")


def _prv_points(mechanisms: _Mechanisms, delta: float) -> float:
    """Return about how many points Opacus' grid would have: its width is the RDP ε at a far smaller δ."""
    steps = sum(n for _, _, n in mechanisms)
    error = delta / 1000
    mesh = _PRV_ERROR / math.sqrt(steps * math.log(12 / error) / 2)
    return 2 * (_rdp_epsilon(mechanisms, error / 4) + 3) / mesh
