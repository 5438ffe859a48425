"""Whether whatever was released had passed its gate, and had a steward's approval where one was due. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence

from shared.ledger.events import Release
from shared.ledger.finding import Finding
from shared.ledger.release_rules import by_gate, by_stewards
from shared.ledger.view import RunView


def check_gates(runs: Sequence[RunView]) -> Finding:
    """Check that the last gate before every release, simulations' too, was one of the same run and had passed."""
    problems, count = [], 0
    for index, release, then in _released(runs):
        count += 1
        if why := by_gate(then, release.manifest):
            problems.append(f"entry {index}: released although {why}")
    return Finding.of("whatever was released had passed its gate", problems, f"{count} releases")


def check_approvals(runs: Sequence[RunView]) -> Finding:
    """Check that, from the first named steward on, one in office approved every release and none had refused it.

    Simulations need no approval: nobody relies on them.
    """
    problems, count = [], 0
    for index, release, then in _released(runs):
        if release.kind == "release" and then.stewards:
            count += 1
            if why := by_stewards(then, release.manifest):
                problems.append(f"entry {index}: released although {why}")
    for seen in runs:
        twice = [event.steward for event, times in Counter(seen.approvals).items() if times > 1]
        problems += [f"one decision of {name} is recorded twice" for name in twice]
        entries = ((index, e) for index, e in seen.entries if e.type == "approval")
        idle = [(index, e.steward) for index, e in entries if e.steward not in seen.in_office(index)]
        problems += [f"entry {index}: {name} decided without being a steward" for index, name in idle]
    fine = f"{count} releases needed it" if count else "none needed it: there was no steward, or no release"
    return Finding.of("a steward approved every release that needed it", problems, fine)


def _released(runs: Sequence[RunView]) -> Iterator[tuple[int, Release, RunView]]:
    """Yield place and event of every release, and its run as it stood before."""
    for seen in runs:
        for index, event in seen.entries:
            if isinstance(event, Release):
                yield index, event, seen.before(index)
