"""One budget for two runs on the same patients, each of which is planned before either has begun.

Joint PLD prices two runs lower than the sum of their ε, so each gets more than its share of the whole.
"""

from dataclasses import dataclass

from shared.errors import UsageError
from shared.privacy.accounting import cost, noise_multiplier_for
from shared.privacy.events import SampledGaussian, Spending

NEAR = 0.01  # share of the budget that may be left unspent; each try prices both runs, which takes a second
_TRIES = 20  # two or three do, but where a thousandth of σ, its last digit, is worth more than `NEAR`


@dataclass(frozen=True)
class Steps:
    """How often a run draws its patients; its noise is what the budget decides."""

    sampling_rate: float
    count: int


def split_epsilon(epsilon: float, delta: float, first: Steps, second: Steps, share: float) -> tuple[float, float]:
    """Return the ε of two runs, f·share·`epsilon` and f·(1 - share)·`epsilon`, that together cost `epsilon`.

    Their joint cost by PLD is at most `epsilon` and, where σ has the digits for it, at least 1 - `NEAR` of it.
    f is found by bisection, first where the cost would be if it followed f.

    Args:
        epsilon: most that both may cost a patient of one site.
        delta: of each run and of both together.
        first: what the first run does.
        second: what the second run does.
        share: of the first run, above 0 and below 1.

    Raises:
        UsageError: a number is out of range, or too small for so many steps.
    """
    if not 0 < share < 1:
        raise UsageError(f"share={share:g}: choose a number above 0 and below 1")

    def parts(factor: float) -> tuple[float, float]:
        return factor * share * epsilon, factor * (1 - share) * epsilon

    def joint(factor: float) -> float:
        plans = zip(parts(factor), (first, second), strict=True)
        return cost([_spending(part, delta, steps) for part, steps in plans], delta).epsilon

    low, high = 0.0, 1 / max(share, 1 - share)  # at `high`, one of them alone costs all
    factor = 1.0
    for _ in range(_TRIES):
        spent = joint(factor)
        low, high = (factor, high) if spent <= epsilon else (low, factor)
        if (1 - NEAR) * epsilon <= spent <= epsilon:
            break
        guess = factor * (1 - NEAR / 2) * epsilon / spent  # the cost nearly follows the factor
        factor = guess if low < guess < high else (low + high) / 2
    return parts(low)


def _spending(epsilon: float, delta: float, steps: Steps) -> Spending:
    """Return what `server.run.planning` plans for such a run."""
    sigma = noise_multiplier_for(epsilon, delta, steps.sampling_rate, steps.count)
    return Spending.of(
        SampledGaussian(noise_multiplier=sigma, sampling_rate=steps.sampling_rate, steps=steps.count)
    )
