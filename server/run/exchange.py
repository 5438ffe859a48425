"""Ask sites over Flower's Grid: until a deadline, again where an answer was lost, and no longer than is needed.

Asking again is safe: a site answers each question once and then repeats itself (`client.outbox`). Of Flower's
errors only the code is read; their text may hold what an exception at a site said.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from flwr.app import Error, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid

from server.run.patience import Wait

POLL_SECONDS = 0.02  # at first; then a fiftieth of the time waited, so that it never adds more than 2 %
LONGEST_POLL_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0  # between asking a site again: a steward's approval is soon noticed
CLOCK_SECONDS = 10.0  # Flower's messages outlive the deadline by this, as a site's clock may be ahead (up to 5 s)

_SENTENCES = {
    "silent": "no answer before the deadline",
    "lost": "the site was lost",
    "refused bundle": "the site has not approved this code; its steward can run `willis site review`",
    "crashed": "the site's app stopped; see the log at that site",
    "unsent": "the site was not connected",
}
_KINDS: Mapping[int, Literal["silent", "lost", "refused bundle"]] = {
    ErrorCode.INVALID_FAB: "refused bundle",
    ErrorCode.NODE_UNAVAILABLE: "lost",
    ErrorCode.MESSAGE_UNAVAILABLE: "silent",  # it expired, or its parts did
    ErrorCode.REPLY_MESSAGE_UNAVAILABLE: "silent",
}


@dataclass(frozen=True)
class NoAnswer:
    """Why a site did not answer."""

    kind: Literal["silent", "lost", "refused bundle", "crashed", "unsent"]

    @classmethod
    def of(cls, error: Error) -> "NoAnswer":
        """Return what Flower's error means, by its code alone."""
        return cls(_KINDS.get(error.code, "crashed"))

    @property
    def sentence(self) -> str:
        """What is told of it: one of a fixed few."""
        return _SENTENCES[self.kind]


@dataclass
class Traffic:
    """Bytes of messages' contents, counted as they are sent and taken in."""

    sent: int = 0
    received: int = 0


def connected(grid: Grid, count: int, *, deadline: float) -> list[int]:
    """Return the connected nodes, after waiting until there are `count` of them or the deadline passed."""
    began = time.monotonic()
    while len(nodes := list(grid.get_node_ids())) < count and time.monotonic() < began + deadline:
        _rest(began)
    return nodes


def ask(
    grid: Grid,
    kind: str,
    requests: Mapping[int, RecordDict],
    *,
    group: str,
    wait: Wait,
    again: Mapping[int, RecordDict] | None = None,
    traffic: Traffic | None = None,
) -> Iterator[tuple[int, RecordDict | NoAnswer]]:
    """Send each node its request; yield (node, answer), or (node, why there is none), each node once.

    Args:
        grid: Flower's way to the nodes.
        kind: message type.
        requests: content by node.
        group: label of the exchange in Flower's records.
        wait: for how long, and for whom.
        again: content by node for asking again, where it differs.
        traffic: where to count bytes.
    """
    yield from _Exchange(grid, kind, requests, again or requests, group, wait, traffic or Traffic()).answers()


@dataclass
class _Exchange:
    grid: Grid
    kind: str
    requests: Mapping[int, RecordDict]
    again: Mapping[int, RecordDict]
    group: str
    wait: Wait
    traffic: Traffic
    _waiting: dict[str, int] = field(default_factory=dict)  # message -> node
    _due: dict[int, float] = field(default_factory=dict)  # node -> when it is to be asked
    _pauses: dict[int, float] = field(default_factory=dict)  # node -> the last one; of those asked before
    _failed: dict[int, NoAnswer] = field(default_factory=dict)  # node -> what became of its last question

    def answers(self) -> Iterator[tuple[int, RecordDict | NoAnswer]]:
        began = time.monotonic()
        self._due = dict.fromkeys(self.requests, began)
        self._end = began + self.wait.deadline
        self._in_grace = False
        while True:
            yield from self._send()
            yield from self._receive()
            if not self._is_open():
                break
            _rest(began)
        for node in self._waiting.values():
            yield node, NoAnswer("silent")
        for node in self._due:
            yield node, self._failed.get(node, NoAnswer("unsent"))

    def _is_open(self) -> bool:
        """Whether somebody is still worth waiting for."""
        if not self._waiting and not self._due:
            return False
        if self.wait.enough():
            if not self._in_grace and self.wait.grace is not None:
                self._end = min(self._end, time.monotonic() + self.wait.grace)
            self._in_grace = True
            if not self._waiting and not self._due.keys() & self._pauses.keys():
                return False  # the rest were not connected all the while
        return time.monotonic() < self._end

    def _send(self) -> Iterator[tuple[int, NoAnswer]]:
        now = time.monotonic()
        ready = [node for node, moment in self._due.items() if moment <= now]
        online = set(self.grid.get_node_ids()) if ready else set()
        for node in ready:
            if node in online:
                yield from self._send_one(node)
            elif self.wait.pause is None:
                del self._due[node]
                yield node, NoAnswer("unsent")

    def _send_one(self, node: int) -> Iterator[tuple[int, NoAnswer]]:
        del self._due[node]
        content = (self.again if node in self._pauses else self.requests)[node]
        ttl = max(self._end - time.monotonic(), 0.0) + CLOCK_SECONDS
        # One at a time: Flower leaves out what it could not send, and does not say which.
        sent = list(self.grid.push_messages([Message(content, node, self.kind, group_id=self.group, ttl=ttl)]))
        if sent and sent[0]:
            self._pauses.setdefault(node, 0.0)
            self._waiting[sent[0]] = node
            self.traffic.sent += _size(content)
        else:
            yield from self._fail(node, NoAnswer("unsent"))

    def _receive(self) -> Iterator[tuple[int, RecordDict | NoAnswer]]:
        for reply in self.grid.pull_messages(list(self._waiting)) if self._waiting else ():
            # The error Flower makes for a lost node names itself as the source: map by the question.
            asked = reply.metadata.reply_to_message_id
            if asked not in self._waiting:
                continue
            node = self._waiting.pop(asked)
            if reply.has_content():
                self.traffic.received += _size(reply.content)
                yield node, reply.content
            else:
                yield from self._fail(node, NoAnswer.of(reply.error))

    def _fail(self, node: int, why: NoAnswer) -> Iterator[tuple[int, NoAnswer]]:
        if self.wait.pause is None:
            yield node, why
            return
        self._failed[node] = why
        longer = max(self.wait.pause, 2 * self._pauses.get(node, 0.0))
        self._pauses[node] = min(longer, LONGEST_PAUSE_SECONDS)
        self._due[node] = time.monotonic() + self._pauses[node]


def _size(content: RecordDict) -> int:
    return sum(record.count_bytes() for record in content.values())


def _rest(began: float) -> None:
    time.sleep(min(LONGEST_POLL_SECONDS, max(POLL_SECONDS, (time.monotonic() - began) / 50)))
