"""Verification of what a ledger says was spent: settlements, histories and caps, priced again. Pure."""

from collections import Counter
from collections.abc import Callable, Sequence

from shared.ledger.budget import is_first, over_cap
from shared.ledger.events import Reserve, Round, Settle
from shared.ledger.finding import Finding
from shared.ledger.view import RunView
from shared.privacy.accounting import PrivacyCost
from shared.privacy.events import Mechanism, SampledGaussian, Spending

Pricer = Callable[[Sequence[Spending], float], PrivacyCost]  # spendings on one cohort, delta -> cost
Disagreements = Callable[[Sequence[Spending], float], list[str]]  # the same -> where accountants contradict


def check_settlements(runs: Sequence[RunView]) -> Finding:
    """Check that no site settled more than it reserved, or less than the rounds it was averaged in."""
    problems: list[str] = []
    for seen in runs:
        latest: dict[str, Settle] = {}
        for _, event in seen.entries:
            if isinstance(event, Settle):
                problems += _settlement_problems(event, latest.get(event.site), seen)
                latest[event.site] = event
        averaged = Counter(site for event in seen.rounds for site in event.sites)
        problems += [p for settle in seen.settles.values() for p in _undercounts(settle, seen, averaged)]
    unsettled = sorted({site for seen in runs for site in seen.reserves.keys() - seen.settles.keys()})
    check = "settled spending lies between what ran and what was reserved"
    if unsettled and not problems:
        return Finding(check, None, f"not settled: {', '.join(unsettled)}; counted as reserved, in full")
    return Finding.of(check, problems, f"{sum(len(seen.settles) for seen in runs)} settlements")


def check_caps(runs: Sequence[RunView]) -> Finding:
    """Check, by pricing it again, that no reservation took a cohort over the cap its site had set."""
    problems: list[str] = []
    free: set[str] = set()
    orders: dict[str, int] = {}
    for seen in runs:
        for site, reserve in seen.reserves.items():
            if orders.setdefault(site, reserve.cap.order) != reserve.cap.order:
                problems.append(f"{site} changed the order of its filter, which must be fixed before any result")
            if not reserve.spending.protects_patients:
                free.add(site)
            elif why := over_cap(reserve.cap, reserve.past, reserve.spending):
                problems.append(f"{site}: {why}")
    check = "no site's cap is crossed"
    if free and not problems:
        names = ", ".join(sorted(free))
        return Finding(check, None, f"no cap holds: {names} ran without a patient-level guarantee, by name")
    return Finding.of(check, problems, f"{sum(len(seen.reserves) for seen in runs)} caps, priced again")


def check_history(runs: Sequence[RunView]) -> Finding:
    """Check that every reservation lists, in full, what this ledger knows its site spent or set aside before."""
    problems: list[str] = []
    standing: dict[str, dict[str, Spending]] = {}  # site -> run -> spent, or reserved while that is open
    first: set[tuple[str, str]] = set()  # (site, run): plans fixed before any result from the site
    in_order = sorted((entry for seen in runs for entry in seen.entries), key=lambda entry: entry[0])
    for _, event in in_order:
        if not isinstance(event, Reserve | Settle):
            continue
        mine = standing.setdefault(event.site, {})
        if isinstance(event, Reserve):
            listed = {past.run: past.spending for past in event.past}
            for run, spending in mine.items():
                if run != event.run and exceeds(spending, listed.get(run, _none_of(spending))):
                    problems.append(f"{event.site} left out what it spent in the earlier run {run[:12]}")
            if event.run == next(iter(mine), event.run) or is_first(event.past):
                first.add((event.site, event.run))
        in_full = (event.site, event.run) in first  # why it stopped may be a result
        if not (in_full and event.run in mine and event.spending.steps and event.spending.protects_patients):
            mine[event.run] = event.spending
    return Finding.of("nothing spent before is left out", problems, f"{len(standing)} sites")


def check_unseen(runs: Sequence[RunView]) -> Finding:
    """Check that no site reserved a plan as one of its first after this ledger had a result of an earlier one."""
    problems: list[str] = []
    count = 0
    for seen in runs:
        for index, event in seen.entries:
            if not isinstance(event, Reserve):
                continue
            for past in (past for past in event.past if past.unseen):
                count += 1
                ran = [r for r in runs if r.run.run == past.run and _ran_before(r, index, event.site)]
                if ran:
                    problems.append(f"{event.site} called run {past.run[:12]} unseen, which had run there")
    return Finding.of(
        "plans fixed together were fixed before any ran", problems, f"{count} plans fixed with others"
    )


def _ran_before(seen: RunView, index: int, site: str) -> bool:
    """Whether the ledger has a result of a run at a site before one of its entries."""
    before = [event for at, event in seen.entries if at < index]
    rounds = any(isinstance(event, Round) and site in event.sites for event in before)
    return rounds or any(isinstance(e, Settle) and e.site == site and e.rounds for e in before)


def check_accountants(runs: Sequence[RunView], disagree: Disagreements | None) -> Finding:
    """Check PLD against accountants of other mathematics and other hands, for all that composes at each site."""
    check = "other accountants agree"
    if disagree is None:
        return Finding(check, None, "Opacus, which has them, is not installed here")
    priced: dict[tuple[tuple[Spending, ...], float], str] = {}  # what composes, δ -> the first such site
    for seen in runs:
        for site in seen.reserves:
            priced.setdefault((composed(seen, site), seen.run.delta), site)
    problems = [f"{site}: {why}" for (spent, delta), site in priced.items() for why in disagree(spent, delta)]
    beside = "against RDP and, where they exist, PRV or the exact Gaussian"
    return Finding.of(check, problems, f"{len(priced)} costs by PLD, {beside}")


def composed(seen: RunView, site: str) -> tuple[Spending, ...]:
    """Return everything a site's reservation says was spent on its cohort, and this run's, that composes."""
    spent = seen.spent(site)
    before = [past.spending for past in seen.reserves[site].past if past.spending.is_private]
    return (*(s for s in before if (s.unit, s.relation) == (spent.unit, spent.relation)), spent)


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


def _undercounts(settle: Settle, seen: RunView, averaged: Counter[str]) -> list[str]:
    """Return where a settlement is below the rounds it names, or below those the site was averaged in."""
    problems = []
    if settle.rounds < averaged[settle.site]:
        problems.append(
            f"{settle.site} settled {settle.rounds} rounds and was averaged in {averaged[settle.site]}"
        )
    reserve = seen.reserves.get(settle.site)
    reserved = _steps(reserve.spending) if reserve else Counter()
    settled = _steps(settle.spending)
    for mechanism, steps in reserved.items():
        due = steps * settle.rounds // seen.run.rounds
        if settled[mechanism] < due:
            problems.append(f"{settle.site} settled {settled[mechanism]} steps where {due} ran")
    return problems


def _none_of(spending: Spending) -> Spending:
    return spending.model_copy(update={"mechanisms": ()})


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
