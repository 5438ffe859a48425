"""Asking sites, in simulated time: how long, whom again and when, and what is told of those that fail."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pytest
from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.common.constant import SUPERLINK_NODE_ID, ErrorCode
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from server.run import exchange
from server.run.exchange import CLOCK_SECONDS, NoAnswer, Traffic, ask, connected
from server.run.patience import Wait

SECRET = "sub-Lovelace1815"
CONTENT = RecordDict({"words": ConfigRecord({"text": "a question"})})


@dataclass
class Clock:
    """Stands in for `time`: sleeping takes no time but the simulated."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)
    later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)

    def at(self, moment: float, act: Callable[[], None]) -> None:
        self.later.append((moment, act))

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        for moment, act in self.later:
            if moment <= self.now:
                act()


class Scripted(Grid):
    """Nodes that answer each question in their way: after some seconds, or with an error code, or never."""

    def __init__(self, clock: Clock, script: Mapping[int, list[float | str | None]]) -> None:
        TaskIdentity.task_id = TaskIdentity.run_id = 1
        TaskIdentity.node_id = SUPERLINK_NODE_ID
        self._clock = clock
        self._script = {node: list(steps) for node, steps in script.items()}
        self._sent: dict[str, tuple[Message, float | str | None, float]] = {}
        self.absent: dict[int, float] = {}  # node -> until when
        self.asked: list[tuple[int, float, float]] = []  # node, when (seconds from the start), time to live
        self.starts: dict[int, str] = {}

    def get_node_ids(self) -> Iterable[int]:
        return [node for node in self._script if self._clock.now >= self.absent.get(node, 0.0)]

    def get_nodes(self) -> Iterable[NodeInfo]:
        return [
            NodeInfo(node_id=node, last_activated_at=self.starts.get(node, "")) for node in self.get_node_ids()
        ]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        (message,) = messages
        node = message.metadata.dst_node_id
        self.asked.append((node, round(self._clock.now - 1000.0, 1), message.metadata.ttl))
        name = str(len(self.asked))
        message.metadata.__dict__["_message_id"] = name
        self._sent[name] = (message, self._script[node].pop(0), self._clock.now)
        return [name]

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        found = []
        for name in message_ids:
            message, step, asked = self._sent[name]
            if isinstance(step, str):
                found.append(Message(Error(getattr(ErrorCode, step), SECRET), reply_to=message))
            elif step is not None and self._clock.now >= asked + step:
                found.append(Message(CONTENT, reply_to=message))
        return found

    def set_run(self, run: Run) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Run:
        raise NotImplementedError

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        raise NotImplementedError

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        raise NotImplementedError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(exchange, "time", made)
    return made


def answers(grid: Scripted, wait: Wait, traffic: Traffic | None = None) -> dict[int, str]:
    """Ask all nodes; return "answer" or the kind of failure by node."""
    requests = dict.fromkeys(grid._script, CONTENT)
    found: dict[int, str] = {}
    for node, answer in ask(grid, "query.enrol", requests, group="", wait=wait, traffic=traffic):
        assert node not in found
        found[node] = answer.kind if isinstance(answer, NoAnswer) else "answer"
    return found


def test_who_is_silent_is_left_out_at_the_deadline_and_not_before(clock: Clock) -> None:
    grid = Scripted(clock, {1: [50.0], 2: [None], 3: [99.0], 4: [101.5]})
    assert answers(grid, Wait(100.0)) == {1: "answer", 2: "silent", 3: "answer", 4: "silent"}
    assert 1100.0 <= clock.now < 1102.0


def test_polling_costs_little_and_adds_little(clock: Clock) -> None:
    answers(Scripted(clock, {1: [1000.0]}), Wait(6 * 3600.0))
    assert clock.now - 1000.0 < 1000.0 * 1.02 + 1.0
    assert len(clock.slept) < 1500


def test_without_a_pause_a_failure_is_told_at_once(clock: Clock) -> None:
    grid = Scripted(clock, {1: ["CLIENT_APP_CRASHED"], 2: [3.0]})
    assert answers(grid, Wait(100.0)) == {1: "crashed", 2: "answer"}
    assert len(grid.asked) == 2


def test_a_failure_is_asked_again_after_pauses_that_grow_to_a_minute(clock: Clock) -> None:
    grid = Scripted(clock, {1: ["CLIENT_APP_CRASHED"] * 7 + [2.0]})
    assert answers(grid, Wait(1000.0, pause=5.0)) == {1: "answer"}
    between = [later - earlier for (_, earlier, _), (_, later, _) in zip(grid.asked, grid.asked[1:], strict=False)]
    assert between == pytest.approx([5, 10, 20, 40, 60, 60, 60], abs=2.1)  # and the polls in between


def test_the_last_failure_is_told_at_the_deadline_without_flowers_words(clock: Clock) -> None:
    grid = Scripted(clock, {1: ["CLIENT_APP_CRASHED", *["INVALID_FAB"] * 20], 2: [1.0]})
    requests = dict.fromkeys((1, 2), CONTENT)
    found = dict(ask(grid, "train", requests, group="1", wait=Wait(100.0, pause=5.0)))
    assert found[1] == NoAnswer("refused bundle")
    assert SECRET not in f"{found[1]!r} {NoAnswer('refused bundle').sentence}"


def test_messages_live_until_the_deadline_and_a_little_longer(clock: Clock) -> None:
    grid = Scripted(clock, {1: ["NODE_UNAVAILABLE", 1.0]})
    answers(grid, Wait(100.0, pause=5.0))
    (_, _, first), (_, when, second) = grid.asked
    assert first == pytest.approx(100.0 + CLOCK_SECONDS)
    assert second == pytest.approx(100.0 - when + CLOCK_SECONDS, abs=0.1)


def test_once_enough_answered_the_rest_has_the_grace_only(clock: Clock) -> None:
    grid = Scripted(clock, {1: [10.0], 2: [12.0], 3: [20.0], 4: [60.0]})
    seen: list[int] = []
    wait = Wait(1000.0, enough=lambda: len(seen) >= 2, grace=30.0)
    found = {}
    for node, answer in ask(grid, "train", dict.fromkeys(grid._script, CONTENT), group="1", wait=wait):
        seen.append(node)
        found[node] = answer
    assert found[3] == CONTENT
    assert found[4] == NoAnswer("silent")
    assert clock.now - 1000.0 == pytest.approx(42.0, abs=2.0)


def test_who_was_never_connected_is_waited_for_only_while_there_are_too_few(clock: Clock) -> None:
    grid = Scripted(clock, {1: [10.0], 2: [1.0]})
    grid.absent[2] = 1e9
    assert answers(grid, Wait(1000.0, pause=5.0, enough=lambda: True)) == {1: "answer", 2: "unsent"}
    assert clock.now - 1000.0 < 12.0
    grid = Scripted(clock, {1: [10.0], 2: [1.0]})
    grid.absent[2] = clock.now + 500.0
    assert answers(grid, Wait(1000.0, pause=5.0)) == {1: "answer", 2: "answer"}


def test_a_node_whose_process_was_replaced_is_asked_again(clock: Clock) -> None:
    grid = Scripted(clock, {1: [None, 1.0], 2: [30.0]})
    grid.starts[1] = "at first"
    clock.at(1020.0, lambda: grid.starts.update({1: "again"}))
    assert answers(grid, Wait(100.0, pause=5.0)) == {1: "answer", 2: "answer"}
    assert [node for node, _, _ in grid.asked] == [1, 2, 1]


def test_bytes_are_counted_each_time_they_travel(clock: Clock) -> None:
    one = sum(record.count_bytes() for record in CONTENT.values())
    traffic = Traffic()
    answers(Scripted(clock, {1: ["NODE_UNAVAILABLE", 1.0], 2: [1.0], 3: [None]}), Wait(60.0, pause=5.0), traffic)
    assert (traffic.sent, traffic.received) == (4 * one, 2 * one)


def test_arrivals_are_waited_for_until_there_are_enough_or_the_deadline(clock: Clock) -> None:
    grid = Scripted(clock, {1: [], 2: []})
    grid.absent[2] = 1030.0
    assert connected(grid, 2, deadline=10.0) == [1]
    assert connected(grid, 2, deadline=60.0) == [1, 2]
    assert clock.now < 1032.0
