"""What a run says of itself, whoever may take part, and that one coordinator conducts it."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from flwr.app import Context, Message, RecordDict
from flwr.common.constant import ErrorCode

import server.app
from server.run.coordinator import conduct
from server.run.folder import RunFolder
from server.run.patience import Patience
from server.run.status import Status, conducted
from shared.errors import PolicyRefusal, ProtocolError, QuorumError, UsageError, WillisError
from shared.identity import Identity
from shared.ledger.events import Enrol, Reserve, Settle
from shared.ledger.log import SignedEvent
from shared.messages import ENROL, RESERVE, TRAIN, EventReply, pack
from shared.privacy.events import NoiseSource
from tests.simulations.endurance import EAST, HASTY, NORTH, PATIENT, WEST, base, killing, mine, run, tiny_recipe
from tests.simulations.faulty import SECRET, Fault, FaultyGrid, Killed
from tests.simulations.tiny import ROUNDS, SITES, Federation

__all__ = ["base", "mine", "tiny_recipe"]  # fixtures, for pytest to find here


def status_of(federation: Federation) -> Status:
    status = Status.read(federation.folder)
    assert status is not None
    return status


class TestStatus:
    source = NoiseSource.SEEDED
    epsilon = None

    def test_a_run_that_was_never_started_has_none(self, mine: Federation) -> None:
        assert Status.read(mine.folder) is None

    def test_it_is_told_while_the_run_is_under_way(self, mine: Federation) -> None:
        seen: list[Status] = []

        def look(what: str, message: Message) -> None:
            if what == "ask":
                seen.append(status_of(mine))

        run(mine, hook=look)
        assert {status.state for status in seen} == {"running"}
        phases = list(dict.fromkeys(status.phase for status in seen))
        assert phases == ["enrolment", "reservation", "rounds", "settlement"]
        assert [status.round for status in seen if status.phase == "rounds"] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
        end = status_of(mine)
        assert (end.state, end.round, end.rounds, end.updates, end.refusals) == ("finished", 3, 3, 9, 0)
        assert end.ended is not None
        assert end.started <= end.ended
        assert end.sites == dict.fromkeys(SITES, "settled")

    def test_bytes_of_rounds_are_counted_against_the_least_there_could_be(self, mine: Federation) -> None:
        run(mine)
        status = status_of(mine)
        assert status.update_bytes == 4 * 5
        # Five weights: nearly all of a message is its signed envelope, of some hundred bytes, and two headers.
        assert (
            status.update_bytes * status.updates < status.bytes_in < (status.update_bytes + 1000) * status.updates
        )
        assert status.update_bytes * status.updates < status.bytes_out

    @pytest.mark.parametrize(
        ("fault", "error"),
        [
            (Fault("error before", ENROL, EAST, times=99), ProtocolError),
            (Fault("error before", RESERVE, EAST, times=99), ProtocolError),
            (Fault("error before", TRAIN, EAST, times=99, group="2"), QuorumError),
        ],
        ids=["enrolment", "reservation", "rounds"],
    )
    def test_too_few_sites_end_in_a_recorded_failure_and_the_run_can_be_resumed(
        self, mine: Federation, fault: Fault, error: type[WillisError]
    ) -> None:
        with pytest.raises(error, match="app stopped"):
            run(mine, fault, patience=HASTY.model_copy(update={"quorum": 3, "round_seconds": 0.5}))
        status = status_of(mine)
        assert (status.state, status.code) == ("failed", error.code)
        assert "app stopped" in status.sentence
        assert SECRET not in mine.folder.status_file.read_text()
        run(mine)
        assert status_of(mine).state == "finished"
        assert [r.sites for r in mine.seen.rounds] == [SITES] * ROUNDS
        mine.assert_budget_is_told()

    def test_a_stop_and_an_unexpected_error_are_told_without_the_text_of_the_latter(
        self, mine: Federation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(KeyboardInterrupt), conducted(mine.folder):
            raise KeyboardInterrupt
        assert (status_of(mine).state, status_of(mine).code) == ("failed", "stopped")
        with pytest.raises(ZeroDivisionError), conducted(mine.folder):
            raise ZeroDivisionError(SECRET)
        assert (status_of(mine).state, status_of(mine).code) == ("failed", "error")
        assert SECRET not in mine.folder.status_file.read_text()

    def test_a_killed_process_leaves_an_interrupted_run(self, mine: Federation, tmp_path: Path) -> None:
        with conducted(mine.folder):
            frozen = Federation(tmp_path / "frozen").root  # what a kill would leave: nothing runs there
            shutil.copytree(mine.folder.path, frozen)
            assert status_of(mine).state == "running"
        assert status_of(mine).state == "finished"
        left = Status.read(RunFolder(frozen))
        assert left is not None
        assert left.state == "interrupted"

    def test_a_second_coordinator_is_refused_and_disturbs_nothing(self, mine: Federation) -> None:
        refused: list[str] = []

        def second(what: str, message: Message) -> None:
            if (what, message.metadata.message_type) == ("ask", TRAIN) and not refused:
                before = mine.folder.status_file.read_bytes()
                with pytest.raises(UsageError) as caught:
                    conduct(mine.grid(), mine.folder, lambda *_: None)
                refused.append(str(caught.value))
                assert mine.folder.status_file.read_bytes() == before

        run(mine, hook=second)
        assert refused == [
            f"{mine.folder.path}: another process conducts this run; wait for it to end, or stop it first"
        ]
        assert status_of(mine).state == "finished"

    def test_a_full_disk_does_not_hide_what_stopped_a_run(
        self, mine: Federation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("server.run.status.write_durably", full)
        with pytest.raises(ProtocolError, match="0 of 3 sites"):
            run(mine, prepare=lambda grid: grid.away.update({EAST, NORTH, WEST}))


class TestWhoTakesPart:
    source = NoiseSource.SEEDED
    epsilon = None

    def approved(self, mine: Federation) -> dict[str, str]:
        return {name: mine.site(name).identity.public_key for name in SITES}

    def test_only_approved_sites_enrol(self, mine: Federation) -> None:
        approved = self.approved(mine) | {"east": "00" * 32}
        grid = mine.grid()
        conduct(grid, mine.folder, lambda *_: None, PATIENT, approved)
        assert [event.site for event in mine.events if isinstance(event, Enrol)] == ["north", "west"]
        assert status_of(mine).sites["east"] == "it is not approved for this run, or has another key"

    def test_who_calls_himself_like_an_approved_site_keeps_it_from_nothing(
        self, mine: Federation, tmp_path: Path
    ) -> None:
        approved = self.approved(mine)
        impostor = Identity.at(tmp_path / "impostor.key", "east")

        def disguised(content: RecordDict) -> RecordDict:
            event = Enrol(site="east", public_key=impostor.public_key, patients=9000, cohort="0" * 64)
            return pack(EventReply(signed=SignedEvent.by(impostor, event)))

        grid = mine.grid(faults=[Fault("changed", ENROL, WEST, change=disguised)])
        conduct(grid, mine.folder, lambda *_: None, PATIENT, approved)
        assert [event.site for event in mine.events if isinstance(event, Enrol)] == ["east", "north"]
        assert [r.sites for r in mine.seen.rounds] == [("east", "north")] * ROUNDS

    def test_a_site_that_came_back_with_another_key_is_left_out(self, mine: Federation) -> None:
        approved = self.approved(mine)
        with pytest.raises(Killed):
            conduct(mine.grid(hook=killing("answer", TRAIN, 5)), mine.folder, lambda *_: None, PATIENT, approved)
        shutil.rmtree(mine.root / "sites" / "east" / ".willis")
        conduct(mine.grid(), mine.folder, lambda *_: None, PATIENT, approved)
        (refused,) = mine.seen.refusals
        assert (refused.site, refused.by, refused.reason) == (
            "east",
            "coordinator",
            "it is not approved for this run, or has another key",
        )
        assert [r.sites for r in mine.seen.rounds][1:] == [SITES[1:]] * 2
        assert mine.seen.spent("east") == mine.seen.run.spending  # it cannot settle: counted in full

    def test_refusals_of_too_many_cost_the_others_nothing(self, mine: Federation) -> None:
        for name in SITES[:2]:
            policy = mine.root / "sites" / name / "policy.toml"
            policy.write_text(policy.read_text() + "min_patients = 5\n")
        with pytest.raises(PolicyRefusal, match=r"east refuses: .*; north refuses: "):
            run(mine)
        assert [type(e) for e in mine.events if isinstance(e, Reserve | Settle)] == [Reserve, Settle]
        assert mine.seen.spent("west").steps == 0
        assert (status_of(mine).state, status_of(mine).code) == ("failed", "policy")


class TestDeployed:
    """The ServerApp that Flower starts, with an operator's files beside the run."""

    source = NoiseSource.SEEDED
    epsilon = None

    def start(self, mine: Federation, grid: FaultyGrid, names: Sequence[str] = SITES) -> None:
        keys = {name: mine.site(name).identity.public_key for name in names}
        mine.folder.approved_file.write_text(json.dumps(keys))
        self.go_on(mine, grid)

    def go_on(self, mine: Federation, grid: FaultyGrid) -> None:
        server.app.app(grid, Context(1, 1, {}, RecordDict(), {"run-folder": str(mine.folder.path)}))

    def test_it_takes_a_run_to_its_report(self, mine: Federation) -> None:
        mine.folder.patience_file.write_text(json.dumps({"arrival_seconds": 0.2, "pause_seconds": 0.01}))
        self.start(mine, mine.grid(), SITES[1:])
        status = status_of(mine)
        assert (status.state, status.phase) == ("finished", "report")
        assert [r.sites for r in mine.seen.rounds] == [SITES[1:]] * ROUNDS
        assert (mine.folder.path / "report" / "index.html").exists()

    def test_a_refused_run_is_reported_too(self, mine: Federation) -> None:
        for name in SITES:
            policy = mine.root / "sites" / name / "policy.toml"
            policy.write_text(policy.read_text() + "min_patients = 5\n")
        with pytest.raises(PolicyRefusal):
            self.start(mine, mine.grid())
        assert status_of(mine).code == "policy"
        assert (mine.folder.path / "report" / "index.html").exists()

    @pytest.mark.parametrize("text", [None, "{", '["west"]'], ids=["missing", "cut off", "a list"])
    def test_without_its_list_of_approved_sites_nobody_is_let_in(self, mine: Federation, text: str | None) -> None:
        if text is not None:
            mine.folder.approved_file.write_text(text)
        with pytest.raises(UsageError, match=r"approved\.json: (missing|damaged); restore it"):
            self.go_on(mine, mine.grid())
        assert status_of(mine).state == "failed"
        assert not [event for event in mine.events if isinstance(event, Enrol)]

    def test_its_patience_is_that_of_a_deployment_where_the_operator_chose_none(self, mine: Federation) -> None:
        assert mine.folder.patience() == Patience(grace_seconds=600.0, pause_seconds=5.0, quorum=2)
        mine.folder.patience_file.write_text('{"round_seconds": 60, "quorum": null}')
        chosen = mine.folder.patience()
        assert (chosen.round_seconds, chosen.quorum, chosen.pause_seconds) == (60.0, None, 5.0)

    @pytest.mark.parametrize("text", ['{"patience": 1}', '{"quorum": 0}', "[]", "{", '{"answer_seconds": -1}'])
    def test_a_damaged_patience_is_named(self, mine: Federation, text: str) -> None:
        mine.folder.patience_file.write_text(text)
        with pytest.raises(UsageError, match=r"patience\.json: not a run's patience"):
            mine.folder.patience()

    def test_a_bundle_that_was_not_approved_is_told_with_its_remedy(self, mine: Federation) -> None:
        mine.folder.patience_file.write_text(
            json.dumps({"answer_seconds": 0.3, "arrival_seconds": 0.2, "pause_seconds": 0.01, "quorum": 3})
        )
        fault = Fault("error before", ENROL, EAST, times=999, code=ErrorCode.INVALID_FAB)
        with pytest.raises(ProtocolError, match="willis site review"):
            self.start(mine, mine.grid(faults=[fault]))
        assert status_of(mine).state == "failed"
