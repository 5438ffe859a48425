"""Who may decide on a release, as a log and its verification see it: any order of events, one small model."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.canonical import digest
from shared.errors import LedgerError
from shared.ledger.events import Approval, Event, Gate, Release, Steward
from shared.ledger.log import Log, SignedEvent, line, parse
from shared.ledger.verify_release import check_approvals, check_gates
from shared.ledger.view import lines_of, views
from tests.server.ledgers import COORDINATOR, Story, approval, gate, identity, release, signed, steward

HONEST = Story().events()
SUMS = [digest(b"one"), digest(b"two")]
NAMES = ["ada", "ben"]
EVENTS = st.one_of(
    st.builds(steward, st.sampled_from(NAMES), st.sampled_from(["named", "withdrawn"])),
    st.builds(lambda manifest, passed: gate(manifest, passed=passed), st.sampled_from(SUMS), st.booleans()),
    st.builds(
        approval,
        st.sampled_from(SUMS),
        st.sampled_from(NAMES),
        st.sampled_from(["approved", "refused"]),
        st.sampled_from(["", "looked at"]),
    ),
    st.builds(release, st.sampled_from(SUMS)),
)


def accepted(events: Sequence[Event]) -> bool:
    """Return whether a reader takes the ledger, and verification finds nothing in it."""
    try:
        found = list(views(parse(lines_of([signed(e) for e in [*HONEST, *events]]), "ledger")).values())
    except LedgerError:
        return False
    return check_gates(found).passed is not False and check_approvals(found).passed is not False


def is_right(events: Sequence[Event]) -> bool:
    """Say the rules again: names in order, decisions in office and once, releases gated, approved, not refused."""
    for i, event in enumerate(events):
        before = events[:i]
        states = {e.name: e.state for e in before if isinstance(e, Steward)}
        if isinstance(event, Steward) and (states.get(event.name) == "named") == (event.state == "named"):
            return False
        if isinstance(event, Approval) and (states.get(event.steward) != "named" or event in before):
            return False
        if isinstance(event, Release):
            gates = [g for g in before if isinstance(g, Gate) and g.manifest == event.manifest]
            said = {d.decision for d in before if isinstance(d, Approval) and d.manifest == event.manifest}
            if not gates or gates[-1].failed or (states and said != {"approved"}):
                return False
    return True


@given(st.lists(EVENTS, max_size=7))
def test_a_ledger_is_accepted_exactly_when_the_model_says_so(events: list[Event]) -> None:
    assert accepted(events) == is_right(events)


@given(st.data())
def test_so_is_every_way_to_leave_out_or_move_an_entry_of_a_right_one(data: st.DataObject) -> None:
    right: list[Event] = [
        steward("ada"),
        steward("ben"),
        gate(SUMS[0]),
        approval(SUMS[0], "ada"),
        release(SUMS[0]),
    ]
    right += [steward("ada", "withdrawn"), gate(SUMS[1]), approval(SUMS[1], "ben"), release(SUMS[1])]
    assert accepted(right)
    assert is_right(right)
    drawn = data.draw(st.lists(st.sampled_from(right), max_size=len(right)))
    assert accepted(drawn) == is_right(drawn)


def read(entries: Sequence[SignedEvent]) -> None:
    log = Log("ledger")
    for index, entry in enumerate(entries):
        log.follow(line(index, entry))


WRONG: dict[str, tuple[Event, str]] = {
    "steward": (steward("ben"), "ada"),
    "gate": (gate(SUMS[0]), "steward/ada"),
    "approval by the coordinator": (approval(SUMS[0], "ada"), "coordinator"),
    "approval by a site": (approval(SUMS[0], "ada"), "north"),
    "approval by another steward": (approval(SUMS[0], "ada"), "steward/ben"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("as_bound", [True, False])
def test_an_event_of_a_wrong_signer_is_refused_under_either_name(kind: str, as_bound: bool) -> None:
    event, signer = WRONG[kind]
    forged = SignedEvent.by(identity(signer), event)
    if as_bound:
        forged = forged.model_copy(update={"signer": signed(event).signer})
    start = [signed(e) for e in [*HONEST, steward("ada"), steward("ben")][: len(HONEST) + (kind != "steward")]]
    with pytest.raises(LedgerError, match="is not signed by"):
        read([*start, forged])


def test_a_steward_has_a_key_of_its_own() -> None:
    for other in (COORDINATOR.public_key, identity("north").public_key, steward("ada").public_key):
        named = steward("ben").model_copy(update={"public_key": other})
        with pytest.raises(LedgerError, match="somebody else's"):
            read([signed(e) for e in [*HONEST, steward("ada"), named]])


def test_a_steward_that_lost_a_key_is_withdrawn_and_named_again() -> None:
    another = steward("ada").model_copy(update={"public_key": identity("new key").public_key})
    with pytest.raises(LedgerError, match="withdraw that key"):
        read([signed(e) for e in [*HONEST, steward("ada"), another]])
    read([signed(e) for e in [*HONEST, steward("ada"), steward("ada", "withdrawn"), another]])
