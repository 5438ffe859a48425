"""Whether the claims of the run that released a data set cover all the networks that drew it.

A data set states the claims of one run, with all earlier runs on the same patients. So the networks of earlier
runs may draw too, if every site that they were trained at counted them before this run.
"""

from collections.abc import Mapping, Sequence

from shared.ledger.events import Release
from shared.ledger.finding import Finding
from shared.ledger.release_rules import kind_of
from shared.ledger.verify import reasons_against
from shared.ledger.verify_spending import check_history, exceeds
from shared.ledger.view import RunView
from shared.privacy.events import Spending


def check_coverage(runs: Sequence[RunView]) -> Finding:
    """Check that whatever drew a released data set was covered when it was released."""
    problems: list[str] = []
    count = 0
    for seen in runs:
        for index, event in seen.entries:
            if isinstance(event, Release) and event.earlier:
                count += 1
                then = {one.run.run: one.before(index) for one in runs if one.entries[0][0] < index}
                reasons = uncovered(event.earlier, then[seen.run.run], then)
                problems += [f"entry {index}: released although {why}" for why in reasons]
    return Finding.of("whatever drew a data set is in its claim", problems, f"{count} drawn by more than one run")


def uncovered(earlier: Sequence[str], seen: RunView, runs: Mapping[str, RunView]) -> list[str]:
    """Return why the claims of the run `seen` do not cover `earlier` runs of the same ledger; empty: they do."""
    found = []
    for name in earlier:
        who = f"run {name[:12]}, which drew too"
        if name not in runs:
            found.append(f"{who}, is not in this ledger; publish from its federation")
            continue
        before = runs[name]
        found += [f"{who}: {reason}" for reason in reasons_against(before)]
        if kind_of(before) != kind_of(seen):
            found.append(f"{who}, or this run is a simulation, and not both; repeat that one")
        found += [
            f"{site} took part in {who}, and did not count it before this run; train this run again with that site"
            for site in before.reserves
            if exceeds(spent := before.spent(site), _counted(seen, site, name, spent))
        ]
        history = check_history([before, seen])
        if history.passed is False:
            found.append(history.detail)
    return found


def _counted(seen: RunView, site: str, earlier: str, spent: Spending) -> Spending:
    """Return what a site counted for an earlier run before it took part in `seen`; no steps if it did not."""
    past = seen.reserves[site].past if site in seen.reserves else ()
    nothing = spent.model_copy(update={"mechanisms": ()})
    return next((one.spending for one in past if one.run == earlier), nothing)
