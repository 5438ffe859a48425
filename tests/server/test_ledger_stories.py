"""Ledgers that are well formed and rightly signed, but tell an impossible story, are caught from their entries."""

from collections.abc import Callable, Sequence

import pytest

from shared.canonical import digest
from shared.ledger.events import Event, Refuse, Reserve, Run, Settle
from shared.ledger.finding import Finding
from shared.ledger.log import event_bytes
from shared.ledger.verify import verify_runs
from shared.ledger.verify_spending import check_accountants
from shared.ledger.view import view, views
from shared.privacy.accounting import cost
from shared.privacy.events import NoiseSource, NonPrivate, Spending, Unit
from tests.server.ledgers import (
    DELTA,
    PRIVATE_PAST,
    ROUNDS,
    RUN_ID,
    Story,
    approval,
    cap_of,
    gate,
    gaussian,
    release,
    signed_all,
    steward,
)

ORDER = "budget is reserved before it is used"
SETTLED = "settled spending lies between what ran and what was reserved"
CAPS = "no site's cap is crossed"
TERMS = "every site agreed to the plan that ran"
HISTORY = "nothing spent before is left out"
RELEASES = "only what may be published was released"
GATES = "whatever was released had passed its gate"
APPROVALS = "a steward approved every release that needed it"
SUMS, OTHER = digest(b"sums"), digest(b"other sums")


def verified(events: list[Event]) -> list[Finding]:
    return verify_runs(list(views(signed_all(events)).values()))


def told(*more: Event) -> list[Event]:
    """Return an honest run and what came after it."""
    return [*Story().events(), *more]


def judged(events: list[Event]) -> set[str]:
    """Return the checks that fail on a ledger whose chain and signatures are right."""
    return {f.check for f in verified(events) if f.passed is False}


def test_an_honest_story_is_believed() -> None:
    assert all(f.passed for f in verified(told(steward("ada"), gate(SUMS), approval(SUMS, "ada"), release(SUMS))))
    assert judged(Story(past={"north": (PRIVATE_PAST,)}).events()) == set()


def replaced(kind: type[Event], **update: object) -> list[Event]:
    """Return the story with the first event of `kind` changed."""
    events = Story().events()
    index = next(i for i, e in enumerate(events) if isinstance(e, kind))
    return [*events[:index], events[index].model_copy(update=update), *events[index + 1 :]]


def moved(kind: type[Event], to: int) -> list[Event]:
    events = Story().events()
    index = next(i for i, e in enumerate(events) if isinstance(e, kind))
    event = events.pop(index)
    return [*events[:to], event, *events[to:]]


def crossing() -> list[Event]:
    cap = cap_of(cost([Story().plan], DELTA).epsilon - 0.001)
    return Story(cap=cap).events()


def crossing_with_past() -> list[Event]:
    """A second run under a cap that would admit it by PLD: chosen after the first, it must pass the filter."""
    cap = cap_of(cost([Story().plan, PRIVATE_PAST.spending], DELTA).epsilon + 0.001)
    return Story(cap=cap, past={"west": (PRIVATE_PAST,)}).events()


def forgetful() -> list[Event]:
    """Two runs on the same cohorts; the second reservation does not mention the first."""
    first = [e.model_copy(update={"run": "0" * 16}) for e in Story().events() if hasattr(e, "run")]
    plan = next(e for e in first if isinstance(e, Run))
    bound = {"plan": digest(event_bytes(plan))}
    first = [e.model_copy(update=bound) if isinstance(e, Reserve) else e for e in first]
    return [*Story().events()[:4], *first, *Story().events()[4:]]


def pretending() -> list[Event]:
    return [*Story(noise_source=NoiseSource.SEEDED).events(), gate(SUMS), release(SUMS)]


STORIES: dict[str, tuple[Callable[[], list[Event]], set[str]]] = {
    "reserved after the first round": (lambda: moved(Reserve, 9), {ORDER}),
    "reserved for another plan": (lambda: replaced(Run, clip_norm=9.0), {TERMS}),
    "reserved less than the run spends": (lambda: replaced(Reserve, spending=gaussian(1)), {TERMS, SETTLED}),
    "reserved for another cohort": (lambda: replaced(Reserve, cohort="0" * 64), {TERMS}),
    "reserved for seeded noise": (lambda: replaced(Reserve, noise_source=NoiseSource.SEEDED), {TERMS}),
    "a round twice": (
        lambda: [*Story().events()[:-3], Story().round(ROUNDS), *Story().events()[-3:]],
        {ORDER, SETTLED},
    ),
    "rounds out of order": (lambda: replaced(type(Story().round(1)), round=3), {ORDER}),
    "more rounds than planned": (lambda: Story(rounds_done=5).events(), {ORDER, SETTLED}),
    "settled more than reserved": (lambda: replaced(Settle, spending=gaussian(9)), {SETTLED}),
    "settled another unit": (
        lambda: replaced(Settle, spending=gaussian(4).model_copy(update={"unit": Unit.PATCH})),
        {SETTLED},
    ),
    "settled less than ran": (lambda: replaced(Settle, spending=gaussian(3)), {SETTLED}),
    "settled fewer rounds than it was averaged in": (
        lambda: replaced(Settle, rounds=2, spending=gaussian(2)),
        {SETTLED},
    ),
    "settled again for less": (
        lambda: [*Story().events(), replaced(Settle, rounds=1, spending=gaussian(1))[-3]],
        {SETTLED},
    ),
    "cap crossed": (crossing, {CAPS}),
    "cap crossed with the past": (crossing_with_past, {CAPS}),
    "another δ than the federation's": (lambda: replaced(Run, delta=1e-3), {TERMS}),
    "an earlier run forgotten": (forgetful, {HISTORY}),
    "a simulation recorded as a release": (pretending, {RELEASES}),
    "no gate": (lambda: told(release(SUMS)), {GATES}),
    "a network without a gate": (lambda: told(release(SUMS, cases=0, what="network")), {GATES}),
    "a gate of another data set": (lambda: told(gate(OTHER), release(SUMS)), {GATES}),
    "a gate after the release": (lambda: told(release(SUMS), gate(SUMS)), {GATES}),
    "a gate that was shut": (lambda: told(gate(SUMS, passed=False), release(SUMS)), {GATES}),
    "a gate that was shut in the end": (
        lambda: told(gate(SUMS), gate(SUMS, passed=False), release(SUMS)),
        {GATES},
    ),
    "no approval": (lambda: told(steward("ada"), gate(SUMS), release(SUMS)), {APPROVALS}),
    "an approval after the release": (
        lambda: told(steward("ada"), gate(SUMS), release(SUMS), approval(SUMS, "ada")),
        {APPROVALS},
    ),
    "an approval of another data set": (
        lambda: told(steward("ada"), gate(SUMS), approval(OTHER, "ada"), release(SUMS)),
        {APPROVALS},
    ),
    "an approval of nobody": (lambda: told(gate(SUMS), approval(SUMS, "ada"), release(SUMS)), {APPROVALS}),
    "an approval of one withdrawn": (
        lambda: told(
            steward("ada"), steward("ada", "withdrawn"), gate(SUMS), approval(SUMS, "ada"), release(SUMS)
        ),
        {APPROVALS},
    ),
    "all stewards withdrawn, to need none": (
        lambda: told(steward("ada"), steward("ada", "withdrawn"), gate(SUMS), release(SUMS)),
        {APPROVALS},
    ),
    "a refusal": (
        lambda: told(steward("ada"), gate(SUMS), approval(SUMS, "ada", "refused"), release(SUMS)),
        {APPROVALS},
    ),
    "a refusal, and an approval put before or after it": (
        lambda: told(
            *(steward("ada"), gate(SUMS), approval(SUMS, "ada", "refused")),
            *(approval(SUMS, "ada"), release(SUMS)),
        ),
        {APPROVALS},
    ),
    "one decision recorded twice": (
        lambda: told(steward("ada"), gate(SUMS), approval(SUMS, "ada"), approval(SUMS, "ada")),
        {APPROVALS},
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_an_impossible_story_is_caught(story: str) -> None:
    tell, expected = STORIES[story]
    assert judged(tell()) == expected


def test_no_cap_can_be_claimed_for_a_run_without_noise() -> None:
    found = {f.check: f.passed for f in verified(Story(plan=Spending.of(NonPrivate(steps=4))).events())}
    assert found[CAPS] is None


def test_an_open_reservation_is_no_pass_and_no_failure() -> None:
    found = {f.check: f.passed for f in verified(Story(settled=("north",)).events())}
    assert found[SETTLED] is None


def test_a_coordinators_refusal_needs_no_signature_of_the_site() -> None:
    refusal = Refuse(run=RUN_ID, site="west", by="coordinator", round=2, code="protocol", reason="late")
    events = Story().events()
    assert judged([*events[:9], refusal, *events[9:]]) == set()


def test_accountants_that_contradict_each_other_are_reported_and_lacking_ones_are_no_pass() -> None:
    seen = view(signed_all(Story(past={"west": (PRIVATE_PAST,)}).events()), RUN_ID)
    asked: list[tuple[int, float]] = []

    def disagree(spendings: Sequence[Spending], delta: float) -> list[str]:
        asked.append((len(spendings), delta))
        return ["PLD says 1 and RDP says 2"] * (len(spendings) > 1)

    found = check_accountants([seen], disagree)
    assert (found.passed, found.detail) == (False, "west: PLD says 1 and RDP says 2")
    assert asked == [(1, DELTA), (2, DELTA)]  # alone, and after what came before; equal questions are asked once
    assert check_accountants([seen], lambda spendings, delta: []).passed is True
    assert check_accountants([seen], None).passed is None


def test_an_approval_holds_after_its_steward_left_and_a_simulation_needs_none() -> None:
    left = told(steward("ada"), gate(SUMS), approval(SUMS, "ada"), steward("ada", "withdrawn"), release(SUMS))
    seeded = [*Story(noise_source=NoiseSource.SEEDED).events(), steward("ada"), gate(SUMS)]
    assert judged(left) == judged([*seeded, release(SUMS, kind="simulation")]) == set()


def test_a_run_without_stewards_says_that_no_approval_was_needed() -> None:
    found = {f.check: f for f in verified(told(gate(SUMS), release(SUMS)))}
    assert all(f.passed for f in found.values())
    assert found[APPROVALS].detail.startswith("none needed it")
