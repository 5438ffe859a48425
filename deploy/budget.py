"""What one cohort has spent and set aside under its cap: the figures that both ends show. Pure.

An ε is a `PrivacyCost`, which names unit, δ, relation and accountant wherever it is printed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from server.report.claims import left_claim
from shared.ledger.budget import filter_of
from shared.ledger.events import Cap
from shared.privacy.accounting import PrivacyCost, cost
from shared.privacy.events import Relation, Spending, Unit

PLANNED = "as if every plan had been fixed before any result was seen"  # what PLD's price rests on


@dataclass(frozen=True)
class Budget:
    """One cohort under its cap. Epsilons do not add up: each is the price of all it covers together."""

    cap: Cap
    spent: PrivacyCost  # of what is settled
    committed: PrivacyCost  # of that and what is reserved
    filter_used: float  # share of the cap's Rényi filter; ∞ where something was not noised
    apart: int  # runs whose unit is not the patient: they do not compose with the others

    @property
    def limit(self) -> PrivacyCost:
        """The cap, as the price it is a limit of."""
        return PrivacyCost(
            self.cap.epsilon, self.cap.delta, Unit.PATIENT, Relation.ADD_REMOVE, "limit set by the site"
        )

    @property
    def left(self) -> PrivacyCost:
        """Cap minus what is committed (negative when crossed): how near the cap is, not what may be added."""
        below = self.cap.epsilon - self.committed.epsilon
        of = self.committed
        return PrivacyCost(below, of.delta, of.unit, of.relation, of.accountant)

    @property
    def left_in_words(self) -> str:
        """What is left, rounded down, with unit, δ, relation and accountant."""
        return str(left_claim(self.cap, self.committed)["text"])

    @property
    def filter_left(self) -> float:
        """Share of the cap's Rényi filter that is left: what decides on every run after the first."""
        return max(0.0, 1 - self.filter_used)

    @property
    def filter_name(self) -> str:
        """The accountant that keeps the cap when runs may follow from earlier ones' results."""
        return f"Rényi filter of order {self.cap.order}"


def budget(cap: Cap, settled: Sequence[Spending], reserved: Sequence[Spending]) -> Budget:
    """Return the account of everything done to a cohort and everything set aside for it.

    Raises:
        UsageError: the cap leaves its filter nothing to spend.
    """
    done = [s for s in settled if s.unit is Unit.PATIENT]
    open_ = [s for s in reserved if s.unit is Unit.PATIENT]
    rule = filter_of(cap)
    return Budget(
        cap=cap,
        spent=cost(done, cap.delta),
        committed=cost([*done, *open_], cap.delta),
        filter_used=rule.used([*done, *open_]) / rule.budget,
        apart=len(settled) + len(reserved) - len(done) - len(open_),
    )


def percent(share: float) -> str:
    """Return a share of what is left in words, rounded down.

    >>> percent(0.999)
    '99 %'
    """
    return f"{math.floor(share * 100)} %"
