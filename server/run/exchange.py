"""Ask sites over Flower's Grid: until a deadline, again where an answer was lost, and no longer than is needed.

Asking again is safe: a site answers each question once and then repeats itself (`client.outbox`). Of Flower's
errors only the code is read; their text may hold what an exception at a site said.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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


class _Exchange:
    def __init__(
        self,
        grid: Grid,
        kind: str,
        requests: Mapping[int, RecordDict],
        again: Mapping[int, RecordDict],
        group: str,
        wait: Wait,
        traffic: Traffic,
    ) -> None:
        self._grid = grid
        self._kind = kind
        self._requests = requests
        self._again = again
        self._group = group
        self._wait = wait
        self._traffic = traffic
        self._began = self._looked = time.monotonic()
        self._end = self._began + wait.deadline
        self._in_grace = False
        self._due = dict.fromkeys(requests, self._began)  # node -> when it is to be asked
        self._waiting: dict[str, int] = {}  # message -> node
        self._starts: dict[int, str] = {}  # node -> when Flower saw it start, as it was asked
        self._pauses: dict[int, float] = {}  # node -> the last one; of those asked before
        self._failed: dict[int, NoAnswer] = {}  # node -> what became of its last question

    def answers(self) -> Iterator[tuple[int, RecordDict | NoAnswer]]:
        while True:
            yield from self._send()
            yield from self._receive()
            yield from self._notice_restarts()
            if not self._is_open():
                break
            _rest(self._began)
        for node in self._waiting.values():
            yield node, NoAnswer("silent")
        for node in self._due:
            yield node, self._failed.get(node, NoAnswer("unsent"))

    def _is_open(self) -> bool:
        """Whether somebody is still worth waiting for."""
        if not self._waiting and not self._due:
            return False
        if self._wait.enough():
            if not self._in_grace and self._wait.grace is not None:
                self._end = min(self._end, time.monotonic() + self._wait.grace)
            self._in_grace = True
            if not self._waiting and not self._due.keys() & self._pauses.keys():
                return False  # the rest were not connected all the while
        return time.monotonic() < self._end

    def _send(self) -> Iterator[tuple[int, NoAnswer]]:
        now = time.monotonic()
        ready = [node for node, moment in self._due.items() if moment <= now]
        online = self._online() if ready else {}
        for node in ready:
            if node in online:
                self._starts[node] = online[node]
                yield from self._send_one(node)
            elif self._wait.pause is None:
                del self._due[node]
                yield node, NoAnswer("unsent")

    def _send_one(self, node: int) -> Iterator[tuple[int, NoAnswer]]:
        del self._due[node]
        content = (self._again if node in self._pauses else self._requests)[node]
        ttl = max(self._end - time.monotonic(), 0.0) + CLOCK_SECONDS
        # One at a time: Flower leaves out what it could not send, and does not say which.
        sent = list(self._grid.push_messages([Message(content, node, self._kind, group_id=self._group, ttl=ttl)]))
        if sent and sent[0]:
            self._pauses.setdefault(node, 0.0)
            self._waiting[sent[0]] = node
            self._traffic.sent += _size(content)
        else:
            yield from self._fail(node, NoAnswer("unsent"))

    def _receive(self) -> Iterator[tuple[int, RecordDict | NoAnswer]]:
        for reply in self._grid.pull_messages(list(self._waiting)) if self._waiting else ():
            # The error Flower makes for a lost node names itself as the source: map by the question.
            asked = reply.metadata.reply_to_message_id
            if asked not in self._waiting:
                continue
            node = self._waiting.pop(asked)
            if reply.has_content():
                self._traffic.received += _size(reply.content)
                yield node, reply.content
            else:
                yield from self._fail(node, NoAnswer.of(reply.error))

    def _notice_restarts(self) -> Iterator[tuple[int, NoAnswer]]:
        """Ask again where a site's process was replaced by another, which knows nothing of the question."""
        pause, now = self._wait.pause, time.monotonic()
        if pause is None or not self._waiting or now < self._looked + pause:
            return
        self._looked = now
        online = self._online()
        for name, node in list(self._waiting.items()):
            if online.get(node, self._starts[node]) != self._starts[node]:
                del self._waiting[name]
                yield from self._fail(node, NoAnswer("lost"))

    def _online(self) -> dict[int, str]:
        """Return the connected nodes, and when each started."""
        return {node.node_id: node.last_activated_at for node in self._grid.get_nodes()}

    def _fail(self, node: int, why: NoAnswer) -> Iterator[tuple[int, NoAnswer]]:
        if self._wait.pause is None:
            yield node, why
            return
        self._failed[node] = why
        longer = max(self._wait.pause, 2 * self._pauses.get(node, 0.0))
        self._pauses[node] = min(longer, LONGEST_PAUSE_SECONDS)
        self._due[node] = time.monotonic() + self._pauses[node]


def _size(content: RecordDict) -> int:
    return sum(record.count_bytes() for record in content.values())


def _rest(began: float) -> None:
    time.sleep(min(LONGEST_POLL_SECONDS, max(POLL_SECONDS, (time.monotonic() - began) / 50)))
