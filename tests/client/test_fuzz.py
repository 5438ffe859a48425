"""Spoilt messages both ways: none crashes, none is taken for another. More: `python -m benchmarks.fuzzing`."""

import pytest
from flwr.app import Array, ArrayRecord

from benchmarks.fuzzing import CRASHED, REFUSED, WRONGLY, fuzz_coordinator, fuzz_site
from benchmarks.mangling import HOSTILE_DATA, copy_of
from shared.errors import WillisError
from shared.ledger.events import Reserve, Settle
from shared.messages import ENROL, RESERVE, SETTLE, TRAIN, WITNESS, EventReply, Failure, unpack
from tests.client.fuzz_setting import Setting


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    return Setting(tmp_path_factory.mktemp("fuzz"))


def test_a_site_survives_spoilt_requests_and_never_says_more_than_was_asked(setting: Setting) -> None:
    for kind, counts in fuzz_site(setting.ask, setting.requests, trials=40, seed=1).items():
        assert counts[CRASHED] == counts[WRONGLY] == 0, kind
        assert counts[REFUSED] >= 10, kind
    settled = unpack(setting.ask(SETTLE, setting.requests[SETTLE]), EventReply).signed.event
    assert isinstance(settled, Settle)
    assert settled.rounds <= setting.run.rounds


def test_a_coordinator_survives_spoilt_answers_and_uses_none_but_the_sites_own(setting: Setting) -> None:
    counts, crashes = fuzz_coordinator(setting.coordinator, setting.answers, trials=40, seed=2)
    assert crashes == []
    for kind, count in counts.items():
        assert count[WRONGLY] == 0, kind
        assert count[REFUSED] >= 10, kind


@pytest.mark.parametrize("number", range(len(HOSTILE_DATA)))
def test_arrays_that_cannot_be_decoded_are_refused_on_both_sides(setting: Setting, number: int) -> None:
    spoilt = {}
    for side, content in (("request", setting.requests[TRAIN]), ("answer", setting.answers[TRAIN])):
        made = copy_of(content)
        arrays = dict(made.array_records["arrays"].items())
        name = next(iter(arrays))
        whole = arrays[name]
        arrays[name] = Array(whole.dtype, whole.shape, whole.stype, HOSTILE_DATA[number])
        made["arrays"] = ArrayRecord(arrays)
        spoilt[side] = made
    assert unpack(setting.ask(TRAIN, spoilt["request"]), Failure).code == "protocol"
    with pytest.raises(WillisError):
        setting.coordinator.take(TRAIN, spoilt["answer"])


def test_only_the_genuine_reservation_is_in_the_coordinators_ledger(setting: Setting) -> None:
    fuzz_coordinator(setting.coordinator, setting.answers, trials=20, seed=3)
    reserved = {s.event for s in setting.coordinator.ledger.events if isinstance(s.event, Reserve)}
    assert all(event.spending == setting.run.spending for event in reserved)


@pytest.mark.parametrize("kind", [ENROL, RESERVE, TRAIN, SETTLE, WITNESS])
def test_control_answers_that_are_not_spoilt_are_used(setting: Setting, kind: str) -> None:
    used = setting.coordinator.take(kind, setting.answers[kind])
    recorded = (
        kind == SETTLE and unpack(setting.answers[kind], EventReply).signed in setting.coordinator.ledger.events
    )
    assert used or recorded


def test_more_patients_than_an_exact_average_holds_are_refused_on_enrolment(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.run.enrolment.MAX_PATIENTS", 2)
    with pytest.raises(WillisError, match="declare 3 patients; an exact average holds 2"):
        setting.coordinator.take(ENROL, setting.answers[ENROL])
