"""The exact ε of one Gaussian mechanism (Balle & Wang 2018, Theorem 8).

Written out here, not taken from dp-accounting: it is a second opinion on dp-accounting.
"""

import math

from scipy.optimize import brentq
from scipy.special import log_ndtr


def gaussian_epsilon(mu: float, delta: float) -> float:
    """Return the smallest ε for which N(mu, 1) and N(0, 1) are (ε, δ)-indistinguishable; mu = sensitivity / σ.

    It solves δ = Φ(mu/2 - ε/mu) - e^ε Φ(-mu/2 - ε/mu), in logarithms so that no large ε overflows.
    """
    if mu == 0 or _log_delta(0.0, mu) <= math.log(delta):
        return 0.0
    high = 1.0
    while _log_delta(high, mu) > math.log(delta):
        high *= 2
    return float(brentq(lambda epsilon: _log_delta(epsilon, mu) - math.log(delta), 0.0, high, xtol=1e-12))


def _log_delta(epsilon: float, mu: float) -> float:
    first = float(log_ndtr(mu / 2 - epsilon / mu))
    second = epsilon + float(log_ndtr(-mu / 2 - epsilon / mu))
    return first + math.log(-math.expm1(second - first)) if second < first else -math.inf
