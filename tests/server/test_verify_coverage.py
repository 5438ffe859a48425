"""Networks of an earlier run may draw only if the claims of the run that publishes cover what they cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from shared.ledger.events import EVENT, Event, Past, Release, Settle
from shared.ledger.log import event_bytes
from shared.ledger.verify_coverage import check_coverage, uncovered
from shared.ledger.view import RunView, views
from shared.privacy.events import NoiseSource, NonPrivate, Spending
from tests.server.ledgers import NON_PRIVATE_PAST, PRIVATE_PAST, RUN_ID, SITES, Story, gaussian, signed_all

BOTH = (PRIVATE_PAST.run,)
RELEASE = Release(run=RUN_ID, kind="release", cases=1, manifest="0" * 64, earlier=BOTH)
COUNTED: dict[str, tuple[Past, ...]] = {site: (PRIVATE_PAST,) for site in SITES}


def told(earlier: Story, later: Story) -> dict[str, RunView]:
    """Return the runs of a ledger in which `earlier`, under the name of `PRIVATE_PAST`, ran before `later`."""
    start: Sequence[Event] = [earlier.federation(), *(earlier.enrol(site) for site in SITES)]
    return views(signed_all([*start, *own(replace(earlier, run_id=PRIVATE_PAST.run)), *own(later), RELEASE]))


def own(story: Story) -> list[Event]:
    """Return the events that name the run."""
    return [event for event in story.events() if hasattr(event, "run")]


def why_not(earlier: Story, later: Story) -> str:
    runs = told(earlier, later)
    return "; ".join(uncovered(BOTH, runs[RUN_ID], runs))


def test_an_earlier_run_that_every_site_counted_is_covered() -> None:
    assert why_not(Story(), Story(past=COUNTED)) == ""


def test_a_run_alone_needs_nothing() -> None:
    runs = told(Story(), Story(past=COUNTED))
    assert uncovered((), runs[RUN_ID], runs) == []


@dataclass
class Silent(Story):
    """All rounds took place, and every site settles none."""

    def settle(self, site: str) -> Settle:
        return super().settle(site).model_copy(update={"rounds": 0, "spending": gaussian(0)})


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
    "settled for less than ran": (Silent(), Story(), "settled 0 rounds and was averaged in 4"),
    "unsettled": (Story(settled=SITES[:2]), Story(past=COUNTED), "which drew too: not settled yet: west"),
    "a simulation": (Story(noise_source=NoiseSource.SEEDED), Story(past=COUNTED), "is a simulation, and not both"),
}


@pytest.mark.parametrize("case", NOT_COVERED)
def test_what_is_not_covered_is_named(case: str) -> None:
    earlier, later, reason = NOT_COVERED[case]
    assert reason in why_not(earlier, later)


@pytest.mark.parametrize("case", NOT_COVERED)
def test_an_auditor_finds_it_in_the_ledger(case: str) -> None:
    earlier, later, reason = NOT_COVERED[case]
    finding = check_coverage(list(told(earlier, later).values()))
    assert finding.passed is False
    assert reason in finding.detail


def test_an_auditor_passes_what_is_covered() -> None:
    assert check_coverage(list(told(Story(), Story(past=COUNTED)).values())).passed


def test_a_run_that_began_after_the_release_is_not_covered() -> None:
    first = replace(Story(), run_id=PRIVATE_PAST.run)
    start: Sequence[Event] = [first.federation(), *(first.enrol(site) for site in SITES)]
    runs = views(signed_all([*start, *own(Story(past=COUNTED)), RELEASE, *own(first)]))
    finding = check_coverage(list(runs.values()))
    assert finding.passed is False
    assert "eeeeeeeeeeee, which drew too, is not in this ledger" in finding.detail


def test_a_release_of_one_run_has_the_bytes_it_had_before_there_were_others() -> None:
    alone = RELEASE.model_copy(update={"earlier": ()})
    assert b"earlier" not in event_bytes(alone)
    assert EVENT.validate_json(event_bytes(alone)) == alone
    assert EVENT.validate_json(event_bytes(RELEASE)) == RELEASE


def test_a_run_that_went_on_after_it_was_counted_is_not_covered() -> None:
    """It was not the first, so what it had settled by then was all that had to be counted."""
    first, whole = Story(run_id="d" * 64), Story(run_id=PRIVATE_PAST.run)
    begun = replace(whole, rounds_done=1)
    by_then: tuple[Past, ...] = (PRIVATE_PAST.model_copy(update={"run": first.run_id}), TOO_LITTLE)
    start: Sequence[Event] = [whole.federation(), *(whole.enrol(site) for site in SITES), *own(first), *own(begun)]
    more: Sequence[Event] = [
        *(whole.round(number) for number in (2, 3, 4)),
        *(whole.settle(site) for site in SITES),
    ]
    runs = views(signed_all([*start, *own(Story(past=dict.fromkeys(SITES, by_then))), *more]))
    assert len([why for why in uncovered(BOTH, runs[RUN_ID], runs) if "did not count it" in why]) == len(SITES)


def test_a_run_of_another_federation_is_not_covered() -> None:
    runs = told(Story(), Story(past=COUNTED))
    (reason,) = uncovered(("d" * 64,), runs[RUN_ID], runs)
    assert "dddddddddddd, which drew too, is not in this ledger" in reason
