"""Verification of a ledger as pure functions: entries in, findings out. For auditors, sites, publication."""

from collections.abc import Sequence

from shared.canonical import digest
from shared.ledger.events import Release, Reserve, Round, Run
from shared.ledger.finding import Finding
from shared.ledger.log import GENESIS, Head, SignedEvent, event_bytes
from shared.ledger.release_rules import objections
from shared.ledger.signed_head import SignedHead
from shared.ledger.verify_spending import check_caps, check_settlements, exceeds
from shared.ledger.view import RunView, view


def verify_run(events: Sequence[SignedEvent], run: str) -> list[Finding]:
    """Return every finding about `run` that follows from the entries alone; chain and signatures come before.

    Raises:
        LedgerError: the ledger has no such run.
    """
    checks = (check_order, check_settlements, check_caps, check_releases)
    return [check(events, run) for check in checks]


def check_head(lines: Sequence[bytes], signed: SignedHead, key: str | None) -> Finding:
    """Check that `signed` is a genuine head of exactly `lines`, by the coordinator's `key` if it is known."""
    problems = []
    if not signed.is_genuine:
        problems.append("the signature of the head is not by the key beside it")
    if key is not None and key != signed.public_key:
        problems.append(f"the head is signed by {signed.public_key[:16]}…, not by the key you gave")
    actual = Head(len(lines), digest(lines[-1]) if lines else GENESIS)
    if actual != signed.head:
        problems.append(f"the head is of {signed.size} entries and another content; {actual.size} are here")
    whose = "your copy of the key" if key else f"key {signed.public_key[:16]}…"
    return Finding.of("the ledger's head is signed", problems, f"{actual.size} entries, signed by {whose}")


def check_order(events: Sequence[SignedEvent], run: str) -> Finding:
    """Check that budget was set aside before it was used, for the plan that ran, and rounds came in order."""
    seen = view(events, run)
    problems = _plan_problems(seen)
    reserved: set[str] = set()
    last = 0
    for signed in events:
        event = signed.event
        if isinstance(event, Run) and event.run == run and event != seen.run:
            problems.append("the run is declared twice, differently")
        elif isinstance(event, Reserve) and event.run == run:
            problems += [f"{event.site} reserved twice"] * (event.site in reserved)
            reserved.add(event.site)
        elif isinstance(event, Round) and event.run == run:
            problems += _round_problems(event, last, seen.run.rounds, reserved)
            last = event.round
    fine = f"{len(reserved)} sites reserved before {len(seen.rounds)} rounds"
    return Finding.of("budget is reserved before it is used", problems, fine)


def check_releases(events: Sequence[SignedEvent], run: str) -> Finding:
    """Check that every release came when the run could be published."""
    problems: list[str] = []
    count = 0
    for index, signed in enumerate(events):
        if isinstance(signed.event, Release) and signed.event.run == run:
            count += 1
            problems += [
                f"entry {index}: released although {why}" for why in objections(view(events[:index], run))
            ]
    return Finding.of("only what may be published was released", problems, f"{count} releases")


def _plan_problems(seen: RunView) -> list[str]:
    run, problems = seen.run, []
    for site, reserve in seen.reserves.items():
        if reserve.plan != digest(event_bytes(run)):
            problems.append(f"{site} agreed to another plan than the one in the ledger")
        if exceeds(run.spending, reserve.spending):
            problems.append(f"{site} reserved less than the run may spend")
        if (reserve.delta, reserve.noise_source) != (run.delta, run.noise_source):
            problems.append(f"{site} reserved for another δ or source of noise")
        if reserve.cohort != seen.enrolled[site].cohort:
            problems.append(f"{site} reserved for another cohort than it enrolled")
    return problems


def _round_problems(event: Round, last: int, planned: int, reserved: set[str]) -> list[str]:
    problems = []
    if not last < event.round <= planned:
        problems.append(f"round {event.round} follows round {last} of {planned}")
    if not event.sites or len(set(event.sites)) < len(event.sites):
        problems.append(f"round {event.round} names no site, or one twice")
    missing = sorted(set(event.sites) - reserved)
    return problems + [f"round {event.round} used {site}, which had reserved nothing" for site in missing]
