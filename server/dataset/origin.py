"""How cases were made where more than one run had a hand in it, and whether one run's claims cover them all.

A data set states the claims of one run, with all earlier runs on the same patients. So the networks of earlier
runs may draw too, if every site that they were trained at counted them before this run.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.ledger.release_rules import kind_of
from shared.ledger.verify import reasons_against
from shared.ledger.verify_spending import check_history, exceeds
from shared.ledger.view import RunView
from shared.privacy.events import Spending


@dataclass(frozen=True)
class Origin:
    """How cases were made, in words for the data card, and the other runs whose networks drew."""

    words: str
    earlier: tuple[str, ...] = ()


USUAL = Origin(
    "Labels are made together with the images by the same generator; nobody has corrected them by hand."
)


def uncovered(origin: Origin, seen: RunView, runs: Mapping[str, RunView]) -> list[str]:
    """Return why the claims of the run `seen` do not cover the earlier runs of an origin; empty: they do."""
    found = []
    for name in origin.earlier:
        who = f"run {name[:12]}, which drew too"
        if name not in runs:
            found.append(f"{who}, is not in this ledger; publish from its federation")
            continue
        earlier = runs[name]
        found += [f"{who}: {reason}" for reason in reasons_against(earlier)]
        if kind_of(earlier) != kind_of(seen):
            found.append(f"{who}, or this run is a simulation, and not both; repeat that one")
        found += [
            f"{site} took part in {who}, and did not count it before this run; train this run again with that site"
            for site in earlier.reserves
            if exceeds(spent := earlier.spent(site), _counted(seen, site, name, spent))
        ]
        history = check_history([earlier, seen])
        if history.passed is False:
            found.append(history.detail)
    return found


def _counted(seen: RunView, site: str, earlier: str, spent: Spending) -> Spending:
    """Return what a site counted for an earlier run before it took part in `seen`; no steps if it did not."""
    past = seen.reserves[site].past if site in seen.reserves else ()
    nothing = spent.model_copy(update={"mechanisms": ()})
    return next((one.spending for one in past if one.run == earlier), nothing)
