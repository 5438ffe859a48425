"""The second opinion: Opacus' RDP accountant on the same events (Mironov 2017; Balle et al. 2020).

Apart from `accounting` because Opacus brings torch, which an offline audit need not have.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from opacus.accountants import RDPAccountant

from shared.privacy.accounting import PrivacyCost, common_unit, merged
from shared.privacy.events import Spending

OPACUS_RDP = "RDP, Opacus"


def rdp_cost(spendings: Sequence[Spending], delta: float) -> PrivacyCost:
    """Return Opacus' RDP bound of everything in `spendings` done to one cohort."""
    unit, relation = common_unit(spendings)
    private = all(s.is_private for s in spendings)
    epsilon = _epsilon(merged(spendings), delta) if private else math.inf
    return PrivacyCost(epsilon, delta, unit, relation, OPACUS_RDP)


@lru_cache(maxsize=4096)
def _epsilon(mechanisms: tuple[tuple[float, float, int], ...], delta: float) -> float:
    accountant = RDPAccountant()
    accountant.history = list(mechanisms)
    return float(accountant.get_epsilon(delta)) if mechanisms else 0.0
