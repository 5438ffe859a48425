"""Verification of what a ledger says was spent: settlements and caps, priced again. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence

from shared.ledger.events import Reserve, Run, Settle
from shared.ledger.finding import Finding
from shared.ledger.log import SignedEvent
from shared.ledger.view import RunView, view
from shared.privacy.accounting import PrivacyCost, cost, format_epsilon
from shared.privacy.events import Mechanism, SampledGaussian, Spending

Pricer = Callable[[Sequence[Spending], float], PrivacyCost]  # spendings on one cohort, delta -> cost

_SLACK = 1.01  # PLD rounds losses up, so it may come a little above a bound that is tight
_TOLERANCE = 1e-6  # of ε, for another machine's last bits of floating point


def check_settlements(events: Sequence[SignedEvent], run: str) -> Finding:
    """Check that no site settled more than it reserved, or less than the rounds it was averaged in."""
    seen = view(events, run)
    problems: list[str] = []
    latest: dict[str, Settle] = {}
    for signed in events:
        event = signed.event
        if isinstance(event, Settle) and event.run == run:
            problems += _settlement_problems(event, latest.get(event.site), seen)
            latest[event.site] = event
    problems += [p for settle in seen.settles.values() for p in _undercounts(settle, seen)]
    open_sites = sorted(seen.reserves.keys() - seen.settles.keys())
    check = "settled spending lies between what ran and what was reserved"
    if open_sites and not problems:
        return Finding(check, None, f"not settled: {', '.join(open_sites)}; counted as reserved, in full")
    return Finding.of(check, problems, f"{len(seen.settles)} settlements")


def check_caps(events: Sequence[SignedEvent], run: str) -> Finding:
    """Check, by pricing it again, that no reservation took a cohort over the cap its site had set."""
    seen = view(events, run)
    problems: list[str] = []
    free = []
    for site, reserve in seen.reserves.items():
        if reserve.spending.is_private:
            problems += _cap_problems(reserve)
        else:
            free.append(site)
    problems += _forgotten(events, seen)
    check = "no site's cap is crossed"
    if free and not problems:
        return Finding(check, None, f"no cap holds: {', '.join(free)} ran without noise, by name (ε = ∞)")
    return Finding.of(check, problems, f"{len(seen.reserves)} caps, priced again")


def check_second_opinion(events: Sequence[SignedEvent], run: str, second: Pricer | None) -> Finding:
    """Check PLD against an accountant that bounds it from above, by other mathematics and other hands."""
    check = "a second accountant agrees"
    if second is None:
        return Finding(check, None, "Opacus is not installed here")
    seen, problems = view(events, run), []
    for site, reserve in seen.reserves.items():
        spent = [seen.spent(site)]
        first, other = cost(spent, reserve.delta), second(spent, reserve.delta)
        if first.epsilon > other.epsilon * _SLACK:
            problems.append(f"{site}: {first} is above the bound {other}")
    return Finding.of(check, problems, "PLD is within the RDP bound of Opacus at every site")


def _settlement_problems(settle: Settle, before: Settle | None, seen: RunView) -> list[str]:
    reserve = seen.reserves.get(settle.site)
    if reserve is None:
        return [f"{settle.site} settled without having reserved"]
    problems = []
    if exceeds(settle.spending, reserve.spending):
        problems.append(f"{settle.site} settled more than it reserved")
    if before and exceeds(before.spending, settle.spending):
        problems.append(f"{settle.site} settled again for less")
    if settle.rounds > seen.run.rounds:
        problems.append(f"{settle.site} settled {settle.rounds} of {seen.run.rounds} rounds")
    return problems


def _undercounts(settle: Settle, seen: RunView) -> list[str]:
    """Return where a settlement is below the rounds it names, or below those the site was averaged in."""
    problems = []
    averaged = sum(settle.site in event.sites for event in seen.rounds)
    if settle.rounds < averaged:
        problems.append(f"{settle.site} settled {settle.rounds} rounds and was averaged in {averaged}")
    reserve = seen.reserves.get(settle.site)
    reserved = _steps(reserve.spending) if reserve else Counter()
    settled = _steps(settle.spending)
    for mechanism, steps in reserved.items():
        due = steps * settle.rounds // seen.run.rounds
        if settled[mechanism] < due:
            problems.append(f"{settle.site} settled {settled[mechanism]} steps where {due} ran")
    return problems


def _cap_problems(reserve: Reserve) -> list[str]:
    kind = (reserve.spending.unit, reserve.spending.relation)
    before = [p.spending for p in reserve.past if p.spending.is_private]
    fits = [s for s in before if (s.unit, s.relation) == kind]
    spent = cost([*fits, reserve.spending], reserve.cap.delta)
    if spent.epsilon <= reserve.cap.epsilon + _TOLERANCE:
        return []
    return [f"{reserve.site} reserved up to {spent}, over its cap of {format_epsilon(reserve.cap.epsilon)}"]


def _forgotten(events: Sequence[SignedEvent], seen: RunView) -> list[str]:
    """Return the earlier runs of this ledger on the same cohort that a reservation does not list in full."""
    problems = []
    for signed in events:
        event = signed.event
        if isinstance(event, Run) and event.run == seen.run.run:
            break
        if isinstance(event, Settle):
            mine = seen.reserves.get(event.site)
            known = {p.run: p.spending for p in mine.past} if mine else {}
            listed = known.get(event.run, event.spending.model_copy(update={"mechanisms": ()}))
            if mine and exceeds(event.spending, listed):
                problems.append(f"{event.site} left out what it spent in the earlier run {event.run[:12]}")
    return problems


def exceeds(spending: Spending, limit: Spending) -> bool:
    """Whether `spending` has more steps of some mechanism than `limit`, or is of another unit or relation."""
    if (spending.unit, spending.relation) != (limit.unit, limit.relation):
        return True
    most = _steps(limit)
    return any(steps > most[mechanism] for mechanism, steps in _steps(spending).items())


def _steps(spending: Spending) -> Counter[tuple[str, float, float]]:
    """Return the steps of every distinct mechanism."""
    total: Counter[tuple[str, float, float]] = Counter()
    for mechanism in spending.mechanisms:
        total[_key(mechanism)] += mechanism.steps
    return total


def _key(mechanism: Mechanism) -> tuple[str, float, float]:
    if isinstance(mechanism, SampledGaussian):
        return mechanism.type, mechanism.noise_multiplier, mechanism.sampling_rate
    return mechanism.type, 0.0, 1.0
