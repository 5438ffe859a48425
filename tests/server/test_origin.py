"""Networks of an earlier run may draw only if the claims of the run that publishes cover what they cost."""

from collections.abc import Sequence

import pytest

from server.dataset.origin import Origin, uncovered
from shared.ledger.events import Event, Past
from shared.ledger.view import RunView, views
from shared.privacy.events import NoiseSource, NonPrivate, Spending
from tests.server.ledgers import NON_PRIVATE_PAST, PRIVATE_PAST, RUN_ID, SITES, Story, gaussian, signed_all

ORIGIN = Origin("by two runs", (PRIVATE_PAST.run,))
COUNTED: dict[str, tuple[Past, ...]] = {site: (PRIVATE_PAST,) for site in SITES}


def told(earlier: Story, later: Story) -> dict[str, RunView]:
    """Return the runs of a ledger in which `earlier`, under the name of `PRIVATE_PAST`, ran before `later`."""
    start: Sequence[Event] = [earlier.federation(), *(earlier.enrol(site) for site in SITES)]
    first: Sequence[Event] = [
        event.model_copy(update={"run": PRIVATE_PAST.run}) for event in earlier.events() if hasattr(event, "run")
    ]
    second = [event for event in later.events() if hasattr(event, "run")]
    return views(signed_all([*start, *first, *second]))


def why_not(earlier: Story, later: Story) -> str:
    runs = told(earlier, later)
    return "; ".join(uncovered(ORIGIN, runs[RUN_ID], runs))


def test_an_earlier_run_that_every_site_counted_is_covered() -> None:
    assert why_not(Story(), Story(past=COUNTED)) == ""


def test_a_run_alone_needs_nothing() -> None:
    runs = told(Story(), Story(past=COUNTED))
    assert uncovered(Origin("alone"), runs[RUN_ID], runs) == []


TOO_LITTLE = PRIVATE_PAST.model_copy(update={"spending": gaussian(1)})
NOT_COVERED: dict[str, tuple[Story, Story, str]] = {
    "a site left since": (
        Story(),
        Story(sites=SITES[:2], settled=SITES[:2], past=COUNTED),
        "west took part in run eeeeeeeeeeee, which drew too, and did not count it",
    ),
    "not counted": (
        Story(),
        Story(past={site: COUNTED[site] for site in SITES[:2]}),
        "west took part in run eeeeeeeeeeee",
    ),
    "counted for less": (
        Story(),
        Story(past=COUNTED | {"west": (TOO_LITTLE,)}),
        "west left out what it spent in the earlier run",
    ),
    "without noise": (
        Story(plan=Spending.of(NonPrivate(steps=4))),
        Story(past={site: (Past(**dict(NON_PRIVATE_PAST) | {"run": PRIVATE_PAST.run}),) for site in SITES}),
        "which drew too: it was trained without noise",
    ),
    "unsettled": (Story(settled=SITES[:2]), Story(past=COUNTED), "which drew too: not settled yet: west"),
    "a simulation": (Story(noise_source=NoiseSource.SEEDED), Story(past=COUNTED), "is a simulation, and not both"),
}


@pytest.mark.parametrize("case", NOT_COVERED)
def test_what_is_not_covered_is_named(case: str) -> None:
    earlier, later, reason = NOT_COVERED[case]
    assert reason in why_not(earlier, later)


def test_a_run_of_another_federation_is_not_covered() -> None:
    runs = told(Story(), Story(past=COUNTED))
    (reason,) = uncovered(Origin("by two", ("d" * 64,)), runs[RUN_ID], runs)
    assert "dddddddddddd, which drew too, is not in this ledger" in reason
