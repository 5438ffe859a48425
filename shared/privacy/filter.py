"""A Rényi privacy filter: how much may be spent when each next step is chosen after seeing results.

A plan fixed in advance is priced by PLD (`accounting.cost`). Where noise, sampling rate, number of steps or
stopping depend on what was released before, that price is no guarantee: stopping when the PLD's ε reaches its
limit is proven invalid (arXiv 2602.06756). This filter stays valid: fix one order α before any data are seen,
turn (ε, δ) into a Rényi budget B at α, and admit an event only while the sum of all Rényi costs at α is at most
B. What was admitted is then (ε, δ)-DP (Feldman & Zrnic 2021; Lécuyer 2021).

Why one order, and not "admit if at some order there is room": which order still has room at the end would then
depend on what was released. The theorem bounds the divergence at an order fixed beforehand; it says nothing of
an order chosen by the outputs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import UsageError
from shared.privacy.accounting import check_delta, common_unit
from shared.privacy.events import Spending, Unit
from shared.privacy.renyi import ORDERS, budget_at, rdp


@dataclass(frozen=True)
class RenyiFilter:
    """The limit (ε, δ) per patient, add/remove, enforced at one Rényi order.

    Raises:
        UsageError: δ outside (0, 1), an order below 2, or an order at which the limit leaves no budget.
    """

    epsilon: float
    delta: float
    order: int

    def __post_init__(self) -> None:
        check_delta(self.delta)
        if self.order < 2:
            raise UsageError(f"order={self.order}: an order here is 2 or more; take order_for(epsilon, delta)")
        if not self.budget > 0:
            limit = f"epsilon={self.epsilon:g}, delta={self.delta:g}"
            raise UsageError(f"{limit}: nothing to spend at order {self.order}; take order_for(epsilon, delta)")

    @property
    def budget(self) -> float:
        """The Rényi cost B at `order` that means (ε, δ), in nats."""
        return budget_at(self.order, self.epsilon, self.delta)

    def used(self, spendings: Sequence[Spending]) -> float:
        """Return the Rényi cost of `spendings` at `order`, in nats; ∞ if anything was not noised.

        Raises:
            UsageError: a unit other than the patient.
        """
        unit, _ = common_unit(spendings)
        if unit is not Unit.PATIENT:
            raise UsageError(f"the filter guards patients; a spending per {unit.value} cannot be held against it")
        return rdp(spendings, self.order)

    def admits(self, spendings: Sequence[Spending]) -> bool:
        """Whether all `spendings`, those of the past and the next one, are within the budget."""
        return self.used(spendings) <= self.budget


def order_for(epsilon: float, delta: float, workload: Sequence[Spending] = ()) -> int:
    """Return the order, a whole number, at which the limit admits most repetitions of `workload`.

    Without a workload: unsampled Gaussians, whose cost is proportional to the order. `workload` is what is
    planned; it must be chosen without looking at data.

    Raises:
        UsageError: the limit leaves no budget at any order, or the workload costs nothing or everything.
    """
    check_delta(delta)

    def repetitions(order: int) -> float:
        return budget_at(order, epsilon, delta) / (rdp(workload, order) if workload else order)

    if workload and not 0 < rdp(workload, 2) < float("inf"):
        raise UsageError("an order can be fitted only to noised steps: plan at least one, all with noise")
    best = max(ORDERS, key=repetitions)
    if not repetitions(best) > 0:
        raise UsageError(f"epsilon={epsilon:g} at delta={delta:g} is too small for a Rényi filter; raise either")
    return best
