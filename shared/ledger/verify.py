"""Verification of a ledger as pure functions: runs in, findings out. For auditors, sites, publication.

Each check looks at all the runs it is given and answers once. The work grows with the number of entries.
"""

from collections.abc import Sequence

from shared.canonical import digest
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.events import Release, Reserve, Round, Run
from shared.ledger.finding import Finding
from shared.ledger.log import Head, event_bytes
from shared.ledger.release_rules import kind_of, objections
from shared.ledger.verify_release import check_approvals, check_gates
from shared.ledger.verify_spending import check_caps, check_history, check_settlements, exceeds
from shared.ledger.view import RunView, head_of


def verify_runs(runs: Sequence[RunView]) -> list[Finding]:
    """Return every finding that follows from the entries alone; places and signatures come before."""
    checks = (
        check_terms,
        check_order,
        check_settlements,
        check_history,
        check_caps,
        check_releases,
        check_gates,
        check_approvals,
    )
    return [check(runs) for check in checks]


def reasons_against(seen: RunView) -> list[str]:
    """Return why a run may not be published: the rules, or, if it keeps them, entries that contradict others."""
    return objections(seen) or [f.detail for f in verify_runs([seen]) if f.passed is False]


def check_checkpoint(lines: Sequence[bytes], signed: Checkpoint, key: str) -> Finding:
    """Check that `signed` is a checkpoint of exactly `lines` by the owner of `key` (hexadecimal)."""
    problems = []
    if not signed.is_by(key):
        problems.append(f"the checkpoint is not signed by key {key[:16]}…")
    actual = head_of(lines)
    if actual != signed.head:
        problems.append(
            f"the checkpoint is of {signed.head.size} entries and another content; {actual.size} are here"
        )
    fine = f"{actual.size} entries, Merkle root {actual.root[:16]}…, signed by {key[:16]}…"
    return Finding.of("the ledger is the one its checkpoint fixes", problems, fine)


def check_grown(lines: Sequence[bytes], kept: Checkpoint, key: str, where: str) -> Finding:
    """Check that this ledger grew out of a checkpoint somebody kept: nothing was rewound, no fork was shown."""
    problems = []
    if not kept.is_by(key):
        problems.append(f"{where} is not signed by key {key[:16]}…")
    if not is_beginning(kept.head, lines):
        problems.append(f"this ledger does not begin with the {kept.head.size} entries of {where}: it was forked")
    return Finding.of(
        "the ledger grew out of what was seen before", problems, f"{where}, {kept.head.size} entries"
    )


def check_witnesses(
    lines: Sequence[bytes], witnessed: Checkpoint | None, runs: Sequence[RunView], key: str
) -> Finding:
    """Count the hospitals that cosigned a checkpoint of this ledger, and check that it is one of this ledger."""
    check = "hospitals witnessed the ledger"
    keys = {site: event.public_key for seen in runs for site, event in seen.enrolled.items()}
    if witnessed is None:
        return Finding(check, None, "no cosigned checkpoint is in this copy: another history may have been shown")
    problems = []
    if not witnessed.is_by(key):
        problems.append(f"the cosigned checkpoint is not signed by key {key[:16]}…")
    if not is_beginning(witnessed.head, lines):
        problems.append(f"the {witnessed.head.size} entries that hospitals cosigned are not the first ones here")
    signed = sorted(site for site, public in keys.items() if witnessed.cosigned_by(site, public))
    if not signed:
        problems.append("no enrolled hospital cosigned it")
    missing = sorted(keys.keys() - set(signed))
    rest = f"; without {', '.join(missing)}" if missing else ""
    fine = f"{len(signed)} of {len(keys)} cosigned the first {witnessed.head.size} of {len(lines)} entries{rest}"
    return Finding.of(check, problems, fine)


def is_beginning(head: Head, lines: Sequence[bytes]) -> bool:
    """Whether `head` is of the first entries of a log with these lines."""
    return head.size <= len(lines) and head_of(lines[: head.size]) == head


def check_terms(runs: Sequence[RunView]) -> Finding:
    """Check that every run and reservation keeps to the federation's δ, and every site to the agreed plan."""
    problems = [problem for seen in runs for problem in _plan_problems(seen)]
    return Finding.of("every site agreed to the plan that ran", problems, f"{len(runs)} plans")


def check_order(runs: Sequence[RunView]) -> Finding:
    """Check that budget was set aside before it was used, and that rounds came in order."""
    problems: list[str] = []
    for seen in runs:
        reserved: set[str] = set()
        last = 0
        for _, event in seen.entries:
            if isinstance(event, Run) and event != seen.run:
                problems.append(f"run {event.run[:12]} is declared twice, differently")
            elif isinstance(event, Reserve):
                problems += [f"{event.site} reserved twice"] * (event.site in reserved)
                reserved.add(event.site)
            elif isinstance(event, Round):
                problems += _round_problems(event, last, seen.run.rounds, reserved)
                last = event.round
    fine = f"{sum(len(r.reserves) for r in runs)} reservations before {sum(len(r.rounds) for r in runs)} rounds"
    return Finding.of("budget is reserved before it is used", problems, fine)


def check_releases(runs: Sequence[RunView]) -> Finding:
    """Check that every release came when the run could be published, as what it could be published."""
    problems: list[str] = []
    count = 0
    for seen in runs:
        for index, event in seen.entries:
            if isinstance(event, Release):
                count += 1
                then = seen.before(index)
                problems += [f"entry {index}: released although {why}" for why in objections(then)]
                if event.kind != kind_of(then):
                    problems.append(f"entry {index}: a {kind_of(then)} was recorded as a {event.kind}")
    return Finding.of("only what may be published was released", problems, f"{count} releases")


def _plan_problems(seen: RunView) -> list[str]:
    run, problems = seen.run, []
    if run.delta != seen.federation.delta:
        problems.append(f"run {run.run[:12]} has δ = {run.delta:g}, the federation {seen.federation.delta:g}")
    for site, reserve in seen.reserves.items():
        if reserve.plan != digest(event_bytes(run)):
            problems.append(f"{site} agreed to another plan than the one in the ledger")
        if exceeds(run.spending, reserve.spending):
            problems.append(f"{site} reserved less than the run may spend")
        if (reserve.delta, reserve.cap.delta, reserve.noise_source) != (run.delta, run.delta, run.noise_source):
            problems.append(f"{site} reserved for another δ or source of noise")
        if (reserve.recipe, reserve.variant) != (run.recipe, run.variant):
            problems.append(f"{site} reserved for another recipe")
        if site not in seen.enrolled or reserve.cohort != seen.enrolled[site].cohort:
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
