"""What must hold of a federation whatever is lost, late or killed: one suite, inherited by each kind of run."""

import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from flwr.app import Message
from flwr.common.constant import ErrorCode

from server.run.coordinator import conduct
from server.run.patience import STRICT, Patience
from server.run.status import Status
from shared.ledger.events import Enrol, Refuse
from shared.messages import ENROL, RESERVE, SETTLE, TRAIN, WITNESS
from shared.privacy.events import NoiseSource
from tests.simulations import tiny
from tests.simulations.faulty import SECRET, Fault, FaultyGrid, Hook, Killed
from tests.simulations.tiny import ROUNDS, SITES, Federation

PATIENT = Patience(
    arrival_seconds=0.3, answer_seconds=5.0, round_seconds=5.0, grace_seconds=3.0, pause_seconds=0.01, quorum=2
)
HASTY = PATIENT.model_copy(update={"answer_seconds": 5.0, "grace_seconds": 2.0})  # far above a busy machine's
EAST, NORTH, WEST = 1, 2, 3


def killing(moment: str, kind: str, number: int) -> Hook:
    """Kill the coordinator at the `number`th question ("ask") or answer of a kind."""
    left = [number]

    def hook(what: str, message: Message) -> None:
        left[0] -= (what, message.metadata.message_type) == (moment, kind)
        if left[0] == 0:
            left[0] = -1
            raise Killed

    return hook


MOMENTS = [
    *(("ask", ENROL, 1), ("answer", ENROL, 2), ("ask", WITNESS, 1), ("answer", WITNESS, 2)),
    *(("ask", RESERVE, 1), ("ask", RESERVE, 3), ("answer", RESERVE, 2)),
    *(("ask", TRAIN, 1), ("ask", TRAIN, 5), ("answer", TRAIN, 5), ("answer", TRAIN, 9)),
    *(("ask", SETTLE, 1), ("answer", SETTLE, 2), ("ask", WITNESS, 4), ("answer", WITNESS, 6)),
]
WRITES = [  # what the coordinator writes, and which time it dies there
    ("server.run.folder.RunFolder.keep_members", 1),
    ("server.run.folder.RunFolder.keep_plan", 1),
    ("server.run.coordinator.save_checkpoint", 1),
    ("server.run.coordinator.save_checkpoint", 3),
    ("server.run.coordinator._record_round", 2),
    ("server.run.coordinator.export_ledger", 1),
]
COSTLESS = ["error before", "error after", "twice", "unsent", "late"]


def run(
    federation: Federation,
    *faults: Fault,
    patience: Patience = PATIENT,
    hook: Hook = lambda *_: None,
    prepare: Callable[[FaultyGrid], None] = lambda _: None,
) -> FaultyGrid:
    """Conduct a run with faults; the sites' processes end with it."""
    grid = federation.grid(faults=faults, hook=hook)
    prepare(grid)
    try:
        conduct(grid, federation.folder, lambda *_: None, patience)
    finally:
        grid.close()
    return grid


@pytest.fixture(scope="module")
def tiny_recipe() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shared.recipes.catalogue.catalogue", tiny.catalogue)
        patch.setattr("server.run.planning.noise_multiplier_for", lambda *_: 3.0)
        yield


@pytest.fixture(scope="class")
def base(
    request: pytest.FixtureRequest, tiny_recipe: None, tmp_path_factory: pytest.TempPathFactory
) -> Federation:
    """The federation that all tests of a class start from a copy of."""
    kind: type[Endurance] = request.cls
    return Federation.made(tmp_path_factory.mktemp("base"), kind.source, kind.epsilon)


@pytest.fixture(scope="class")
def undisturbed(base: Federation, tmp_path_factory: pytest.TempPathFactory) -> Federation:
    """The same run without any fault, as a simulation would conduct it."""
    mine = base.copied(tmp_path_factory.mktemp("undisturbed"))
    run(mine, patience=STRICT)
    return mine


@pytest.fixture
def mine(base: Federation, tmp_path: Path) -> Federation:
    """A federation whose run was asked for and has not begun."""
    return base.copied(tmp_path)


class Endurance:
    """Tests that a subclass runs for its kind of run."""

    source: ClassVar[NoiseSource]
    epsilon: ClassVar[float | None]

    def assert_same(self, mine: Federation, undisturbed: Federation) -> None:
        """Fail unless a disturbed run ended as the undisturbed one did."""
        assert [type(event) for event in mine.events] == [type(event) for event in undisturbed.events]
        assert [r.sites for r in mine.seen.rounds] == [r.sites for r in undisturbed.seen.rounds]
        assert mine.seen.settles == undisturbed.seen.settles
        assert [mine.begun(name) for name in SITES] == [ROUNDS] * len(SITES)

    def assert_well(self, mine: Federation) -> None:
        mine.assert_budget_is_told()
        status = Status.read(mine.folder)
        assert status is not None
        assert (status.state, status.code, status.round) == ("finished", "", ROUNDS)

    @pytest.mark.parametrize("moment", MOMENTS, ids=lambda m: " ".join(map(str, m)))
    def test_a_coordinator_killed_between_messages_goes_on_to_the_same_end(
        self, mine: Federation, undisturbed: Federation, moment: tuple[str, str, int]
    ) -> None:
        with pytest.raises(Killed):
            run(mine, hook=killing(*moment))
        run(mine)
        self.assert_same(mine, undisturbed)
        self.assert_well(mine)

    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize(("what", "number"), WRITES)
    def test_a_coordinator_killed_at_a_write_goes_on_to_the_same_end(
        self,
        mine: Federation,
        undisturbed: Federation,
        monkeypatch: pytest.MonkeyPatch,
        what: str,
        number: int,
        after: bool,
    ) -> None:
        with monkeypatch.context() as patch:
            _die_at(patch, what, number, after)
            with pytest.raises(Killed):
                run(mine)
        run(mine)
        self.assert_same(mine, undisturbed)
        self.assert_well(mine)

    def test_a_coordinator_killed_again_and_again_goes_on_to_the_same_end(
        self, mine: Federation, undisturbed: Federation
    ) -> None:
        for moment in (("answer", TRAIN, 2), ("answer", TRAIN, 3), ("ask", RESERVE, 2), ("ask", SETTLE, 1)):
            with pytest.raises(Killed):
                run(mine, hook=killing(*moment))
            mine_status = Status.read(mine.folder)
            assert mine_status is not None
            assert (mine_status.state, mine_status.code) == ("failed", "stopped")
        run(mine)
        self.assert_same(mine, undisturbed)
        self.assert_well(mine)

    @pytest.mark.parametrize("kind", [ENROL, RESERVE, TRAIN, SETTLE, WITNESS])
    @pytest.mark.parametrize("what", COSTLESS)
    def test_what_is_asked_again_changes_nothing(
        self, mine: Federation, undisturbed: Federation, what: str, kind: str
    ) -> None:
        fault = Fault(what, kind, EAST, times=2, seconds=0.1)  # type: ignore[arg-type]
        run(mine, fault)
        assert fault.times < 2
        self.assert_same(mine, undisturbed)
        self.assert_well(mine)

    @pytest.mark.parametrize("when", ["before", "while", "after"])
    def test_a_site_killed_around_its_training_answers_when_it_is_back(
        self, mine: Federation, undisturbed: Federation, monkeypatch: pytest.MonkeyPatch, when: str
    ) -> None:
        at = {
            "before": "client.site.Site.begin",
            "while": "client.training.train_round",
            "after": "client.outbox.Outbox.store",
        }[when]
        with monkeypatch.context() as patch:
            died = _die_at(patch, at, 5, when == "after")
            run(mine)
        assert died[0] >= 5
        self.assert_same(mine, undisturbed)
        self.assert_well(mine)

    def test_a_site_whose_process_was_replaced_is_asked_again(
        self, mine: Federation, undisturbed: Federation
    ) -> None:
        """Flower has handed the question over and shows the node as connected: nothing else would tell."""
        grids: list[FaultyGrid] = []

        def restart(what: str, message: Message) -> None:
            if what == "answer" and message.metadata.message_type == TRAIN:
                grids[0].starts[EAST] = 1

        run(mine, Fault("lost question", TRAIN, EAST, group="1"), hook=restart, prepare=grids.append)
        assert grids[0].asked.count((TRAIN, EAST, "1")) == 2
        self.assert_same(mine, undisturbed)
        self.assert_well(mine)

    @pytest.mark.parametrize(
        ("code", "sentence"),
        [
            (
                ErrorCode.INVALID_FAB,
                "the site has not approved this code; its steward can run `willis site review`",
            ),
            (ErrorCode.CLIENT_APP_RAISED_EXCEPTION, "the site's app stopped; see the log at that site"),
            (ErrorCode.NODE_UNAVAILABLE, "the site was lost"),
            (ErrorCode.MESSAGE_UNAVAILABLE, "no answer before the deadline"),
        ],
    )
    def test_a_site_that_fails_in_one_round_blocks_nobody_and_the_ledger_says_why(
        self, mine: Federation, code: int, sentence: str
    ) -> None:
        run(mine, Fault("error before", TRAIN, EAST, times=100, group="2", code=code), patience=HASTY)
        assert [r.sites for r in mine.seen.rounds] == [SITES, SITES[1:], SITES]
        (refused,) = mine.seen.refusals
        assert (refused.site, refused.round, refused.reason) == ("east", 2, sentence)
        assert mine.seen.settles["east"].rounds == mine.begun("east") == ROUNDS - 1
        assert SECRET not in b"".join(mine.lines).decode() + mine.folder.status_file.read_text()
        self.assert_well(mine)

    def test_a_late_update_is_left_out_and_recorded_as_spent(self, mine: Federation) -> None:
        run(mine, Fault("late", TRAIN, EAST, group="2", seconds=60.0), patience=HASTY)
        assert [r.sites for r in mine.seen.rounds] == [SITES, SITES[1:], SITES]
        (refused,) = mine.seen.refusals
        assert (refused.site, refused.round, refused.reason) == ("east", 2, "no answer before the deadline")
        assert mine.seen.settles["east"].rounds == mine.begun("east") == ROUNDS
        assert mine.seen.settles["east"].spending == mine.seen.run.spending
        self.assert_well(mine)

    def test_a_round_waits_for_nobody_who_was_not_connected(self, mine: Federation) -> None:
        """Its grace is for those that are at work."""

        grids: list[FaultyGrid] = []
        reserved: list[Message] = []

        def leave(what: str, message: Message) -> None:
            if what == "answer" and message.metadata.message_type == RESERVE:
                reserved.append(message)
                grids[0].away |= {EAST} if len(reserved) == len(SITES) else set()

        patience = PATIENT.model_copy(update={"grace_seconds": 60.0, "round_seconds": 60.0})
        run(mine, patience=patience, hook=leave, prepare=grids.append)
        assert (TRAIN, EAST, "1") not in grids[0].asked
        assert [r.sites for r in mine.seen.rounds] == [SITES[1:]] * ROUNDS
        assert mine.seen.spent("east") == mine.seen.run.spending  # reserved and never settled
        status = Status.read(mine.folder)
        assert status is not None
        assert status.sentence == "not settled yet: east; resume the run once it is back, to publish"
        run(mine)
        assert mine.seen.settles["east"].rounds == 0
        self.assert_well(mine)

    def test_a_resumed_run_goes_on_without_a_site_that_is_down_and_takes_it_in_when_it_is_back(
        self, mine: Federation, undisturbed: Federation
    ) -> None:
        with pytest.raises(Killed):
            run(mine, hook=killing("answer", TRAIN, 2))
        plan = mine.folder.plan_file.read_bytes()
        grids: list[FaultyGrid] = []

        def come_back(what: str, message: Message) -> None:
            metadata = message.metadata
            if (what, metadata.message_type, metadata.group_id) == ("ask", TRAIN, "2"):
                grids[0].away.clear()

        def prepare(grid: FaultyGrid) -> None:
            grid.away.add(EAST)
            grids.append(grid)

        run(mine, hook=come_back, prepare=prepare)
        assert mine.folder.plan_file.read_bytes() == plan
        assert [r.sites for r in mine.seen.rounds] == [SITES[1:], SITES[1:], SITES]
        assert mine.seen.settles["east"].rounds == mine.begun("east")
        self.assert_well(mine)

    def test_a_site_that_comes_back_with_other_patients_is_left_out_and_the_ledger_says_why(
        self, mine: Federation
    ) -> None:
        with pytest.raises(Killed):
            run(mine, hook=killing("answer", TRAIN, 5))
        next((mine.root / "sites" / "east").rglob("*_mask.nii.gz")).unlink()
        run(mine)
        assert mine.seen.refusals[-1].reason == "its patients are not those that the run began with"
        assert [r.sites for r in mine.seen.rounds][1:] == [SITES[1:]] * 2
        assert [e.patients for e in mine.events if isinstance(e, Enrol) and e.site == "east"] == [3]

    def test_a_site_whose_policy_refuses_is_recorded_and_the_others_go_on(self, mine: Federation) -> None:
        policy = mine.root / "sites" / "east" / "policy.toml"
        policy.write_text(policy.read_text() + "min_patients = 5\n")
        run(mine)
        (refused,) = mine.seen.refusals
        assert (refused.site, refused.by, refused.round) == ("east", "site", 0)
        assert [r.sites for r in mine.seen.rounds] == [SITES[1:]] * ROUNDS
        assert "east" not in mine.seen.reserves
        self.assert_well(mine)

    def test_a_site_that_never_comes_is_not_waited_for_beyond_its_time(self, mine: Federation) -> None:
        run(mine, prepare=lambda grid: grid.away.add(EAST))
        assert [r.sites for r in mine.seen.rounds] == [SITES[1:]] * ROUNDS
        assert [event.site for event in mine.events if isinstance(event, Enrol)] == list(SITES[1:])
        self.assert_well(mine)

    def test_a_site_that_comes_back_with_an_app_it_has_not_approved_joins_once_it_has(
        self, mine: Federation
    ) -> None:
        """Each round begins by asking it once, and waits for nobody's steward."""
        grids: list[FaultyGrid] = []

        def come(what: str, message: Message) -> None:
            metadata = message.metadata
            if (what, metadata.message_type, metadata.group_id) == ("ask", TRAIN, "1"):
                grids[0].away.clear()

        def prepare(grid: FaultyGrid) -> None:
            grid.away.add(EAST)
            grids.append(grid)

        with pytest.raises(Killed):
            run(mine, hook=killing("answer", TRAIN, 1))
        fault = Fault("error before", ENROL, EAST, code=ErrorCode.INVALID_FAB)
        run(mine, fault, hook=come, prepare=prepare, patience=PATIENT.model_copy(update={"pause_seconds": 30.0}))
        assert [r.sites for r in mine.seen.rounds] == [SITES[1:], SITES[1:], SITES]
        self.assert_well(mine)

    def test_a_site_silent_at_its_reservation_joins_once_it_starts_anew(self, mine: Federation) -> None:
        grids: list[FaultyGrid] = []

        def away(what: str, message: Message) -> None:
            metadata = message.metadata
            if (what, metadata.message_type) == ("ask", TRAIN):
                grids[0].away = {EAST} if metadata.group_id == "1" else set()

        lost = Fault("lost question", RESERVE, EAST)
        run(mine, lost, patience=HASTY, hook=away, prepare=grids.append)
        first = next(e for e in mine.events if isinstance(e, Refuse))
        assert (first.site, first.round, first.reason) == ("east", 0, "no answer before the deadline")
        assert [r.sites for r in mine.seen.rounds] == [SITES[1:], SITES[1:], SITES]
        self.assert_well(mine)


def _die_at(patch: pytest.MonkeyPatch, what: str, number: int, after: bool) -> list[int]:
    """Kill whoever makes the `number`th call of `what`; return a list that holds how many there were."""
    where, name = what.rsplit(".", 1)
    owner = pkgutil.resolve_name(where)
    calls = [0]
    whole = getattr(owner, name)

    def dying(*args: object, **more: object) -> object:
        calls[0] += 1
        if calls[0] == number and not after:
            raise Killed
        done = whole(*args, **more)
        if calls[0] == number and after:
            raise Killed
        return done

    patch.setattr(owner, name, dying)
    return calls
