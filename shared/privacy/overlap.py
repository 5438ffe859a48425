"""The cost to a patient whose records lie at more than one site.

Sites with disjoint patients compose in parallel: a patient pays what their own site spent, and the federation's
figure is the largest of the sites'. A patient at several sites pays all of theirs, added up as one cohort.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from shared.errors import UsageError
from shared.privacy.accounting import PrivacyCost, check_delta, common_unit, cost
from shared.privacy.events import Spending
from shared.privacy.renyi import ORDERS, epsilon_at, rdp

BOUND = "RDP bound over all choices of sites, dp-accounting"
_EXACT = 64  # combinations of sites priced one by one; PLD takes up to a second for each

_Profile = tuple[Spending, ...]


def overlap_cost(spendings_by_site: Mapping[str, Sequence[Spending]], delta: float, overlap: int) -> PrivacyCost:
    """Return the most that a patient who is at `overlap` of the sites may have spent.

    That is the largest cost over all choices of `overlap` sites (of all sites, if there are fewer). Fewer sites
    never cost more, so the figure also holds for patients at fewer. Sites that spent alike are interchangeable,
    so each multiset of distinct spendings is priced once, by PLD.

    With more than 64 multisets the figure is an upper bound by Rényi costs, named so in its accountant. Proof: at
    each order α the Rényi cost of a choice S is the sum of its sites' costs at α, at most R(α), the sum of the
    `overlap` largest. The conversion to ε grows with the Rényi cost, so ε(S) <= ε(α, R(α)) for every S and every
    α; the smallest of these over α bounds every S, and so the largest.

    Raises:
        UsageError: overlap below 1, different units, or δ outside (0, 1).
    """
    check_delta(delta)
    if overlap < 1:
        raise UsageError(f"overlap={overlap}: a patient is at one site at least")
    everything = [s for spendings in spendings_by_site.values() for s in spendings]
    common_unit(everything)
    profiles = Counter(_profile(spendings) for spendings in spendings_by_site.values())
    size = min(overlap, profiles.total())
    choices = list(islice(_choices(sorted(profiles.items(), key=repr), size), _EXACT + 1))
    if len(choices) > _EXACT:
        return _bound(spendings_by_site, delta, size)
    return max((cost(choice, delta) for choice in choices), key=lambda c: c.epsilon)


def _profile(spendings: Sequence[Spending]) -> _Profile:
    """Return `spendings` such that sites that spent alike compare equal."""
    return tuple(sorted(spendings, key=repr))


def _choices(profiles: list[tuple[_Profile, int]], size: int) -> Iterator[_Profile]:
    """Yield each multiset of `size` profiles once, as the spendings in it."""
    if sum(number for _, number in profiles) < size:
        return
    if size == 0:
        yield ()
        return
    (profile, number), *others = profiles
    for times in range(min(number, size) + 1):
        for rest in _choices(others, size - times):
            yield profile * times + rest


def _bound(spendings_by_site: Mapping[str, Sequence[Spending]], delta: float, size: int) -> PrivacyCost:
    sites = list(spendings_by_site.values())
    unit, relation = common_unit([s for spendings in sites for s in spendings])

    def worst(order: int) -> float:
        return sum(sorted((rdp(spendings, order) for spendings in sites), reverse=True)[:size])

    epsilon = min(epsilon_at(order, worst(order), delta) for order in ORDERS)
    return PrivacyCost(epsilon, delta, unit, relation, BOUND)
