"""What training on patches means for a patient who has many of them: the tight group figure.

Each step draws every patch independently, so a patient with k patches shifts the sum by X clip norms at worst,
X ~ Binomial(k, q): a mixture of Gaussians, which dp-accounting composes by PLD (Choquette-Choo et al. 2024,
arXiv 2310.15526).
"""

import math

from dp_accounting import dp_event
from dp_accounting.pld import PLDAccountant
from dp_accounting.privacy_accountant import NeighboringRelation
from scipy.stats import binom

from shared.privacy.accounting import PLD, PrivacyCost, cost
from shared.privacy.events import Relation, SampledGaussian, Spending, Unit

_GRIDS = ((1, 1e-4), (10, 1e-3), (100, 1e-2))  # (patches up to, grid of the privacy loss): pessimistic all
_WIDEST = 5e-2  # for more patches
_TAIL = 1e-3  # share of δ that leaving out improbably many patches in one batch may take


def group_cost(patches: int, steps: list[Spending], delta: float) -> PrivacyCost:
    """Return the cost, to a patient with `patches` patches, of one `SampledGaussian` over patches.

    A batch with more than j of the patient's patches is left out, with τ = P(X > j) and T steps such that
    T τ <= δ/1000. With P' for the rest, P <= P' + T τ in total variation and P' <= P / (1 - τ)^T, so both
    directions hold at δ if P' is priced at δ - T τ and -T ln(1 - τ) is added to ε.

    Raises:
        ValueError: `steps` is not a single sampled Gaussian.
    """
    ((mechanism,),) = (s.mechanisms for s in steps)
    if not isinstance(mechanism, SampledGaussian):
        raise ValueError("a group figure is known only for a sampled Gaussian")
    epsilon = cost(steps, delta).epsilon if patches == 1 else _mixture_epsilon(patches, mechanism, delta)
    return PrivacyCost(epsilon, delta, Unit.PATIENT, Relation.ADD_REMOVE, PLD)


def _mixture_epsilon(patches: int, mechanism: SampledGaussian, delta: float) -> float:
    sampled = binom(patches, mechanism.sampling_rate)
    most = next(j for j in range(1, patches + 1) if sampled.sf(j) * mechanism.steps <= delta * _TAIL)
    tail = float(sampled.sf(most))
    counts = list(range(most + 1))
    chances = [float(sampled.pmf(count)) for count in counts]
    accountant = PLDAccountant(
        neighboring_relation=NeighboringRelation.ADD_OR_REMOVE_ONE, value_discretization_interval=_grid(patches)
    )
    scale = math.fsum(chances)
    event = dp_event.MixtureOfGaussiansDpEvent(
        mechanism.noise_multiplier, counts, [chance / scale for chance in chances]
    )
    accountant.compose(event, mechanism.steps)
    epsilon = float(accountant.get_epsilon(delta - mechanism.steps * tail))
    return epsilon - mechanism.steps * math.log1p(-tail)


def _grid(patches: int) -> float:
    return next((grid for most, grid in _GRIDS if patches <= most), _WIDEST)
