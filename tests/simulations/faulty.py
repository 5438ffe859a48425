"""A grid with faults: questions and answers that are lost, late, doubled or changed; nodes that come and go."""

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from flwr.app import Error, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.proto.node_pb2 import NodeInfo
from flwr.serverapp import Grid
from flwr.supercore.run import Run

from simulations.embedded import EmbeddedGrid

SECRET = "sub-Lovelace1815 at /data/ward"  # what Flower would forward of an exception at a site


class Killed(BaseException):
    """The process ends here: nothing catches it."""


@dataclass
class Fault:
    """What happens to the next `times` questions of one kind to one node.

    "lost question" never arrives, "lost answer" is worked on and gets lost; "error before" and "error after" stand
    for an answer of Flower's with `code`, the site having done nothing, or all; "twice" is delivered again once it
    is answered, and the answer comes two times; "late" comes `seconds` late; "unsent" is what Flower does not
    accept; "changed" has another content.
    """

    what: Literal[
        "lost question", "lost answer", "error before", "error after", "twice", "late", "unsent", "changed"
    ]
    kind: str
    node: int
    times: int = 1
    group: str = ""  # of messages: a round's number; "": any
    code: int = ErrorCode.CLIENT_APP_CRASHED
    seconds: float = 0.0
    change: Callable[[RecordDict], RecordDict] = lambda content: content

    def strikes(self, message: Message) -> bool:
        """Whether this message meets the fault, which is then used up by one."""
        metadata = message.metadata
        meets = (metadata.message_type, metadata.dst_node_id) == (self.kind, self.node)
        if not self.times or not meets or self.group not in ("", metadata.group_id):
            return False
        self.times -= 1
        return True


@dataclass
class _Sent:
    message: Message
    fault: Fault | None
    inner: list[str] = field(default_factory=list)
    due: float = 0.0


Hook = Callable[[str, Message], None]  # "ask" or "answer", and the question or answer; may raise `Killed`


class FaultyGrid(Grid):
    """Wraps a grid whose sites are in this process.

    Attributes:
        away: nodes that are not connected.
        starts: how often a node's process was replaced by a new one.
        asked: every question, in order, as (kind, node, group).
    """

    def __init__(self, inner: EmbeddedGrid, faults: Sequence[Fault] = (), hook: Hook = lambda *_: None) -> None:
        self._inner = inner
        self._faults = list(faults)
        self._hook = hook
        self._sent: dict[str, _Sent] = {}
        self._lock = threading.Lock()
        self.away: set[int] = set()
        self.starts: dict[int, int] = {}
        self.asked: list[tuple[str, int, str]] = []

    def set_run(self, run: Run) -> None:
        self._inner.set_run(run)

    @property
    def run(self) -> Run:
        return self._inner.run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        return self._inner.create_message(content, message_type, dst_node_id, group_id, ttl)

    def get_node_ids(self) -> Iterable[int]:
        return [node for node in self._inner.get_node_ids() if node not in self.away]

    def get_nodes(self) -> Iterable[NodeInfo]:
        return [
            NodeInfo(node_id=node, last_activated_at=str(self.starts.get(node, 0))) for node in self.get_node_ids()
        ]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        return [self._push(message) for message in messages]

    def _push(self, message: Message) -> str:
        self._hook("ask", message)
        metadata = message.metadata
        self.asked.append((metadata.message_type, metadata.dst_node_id, metadata.group_id))
        fault = next((f for f in self._faults if f.strikes(message)), None)
        if fault and fault.what == "unsent":
            return ""
        name = f"outer-{len(self.asked)}"
        sent = _Sent(message, fault, due=time.monotonic() + (fault.seconds if fault else 0.0))
        if (
            not (fault and fault.what in ("lost question", "error before"))
            and metadata.dst_node_id not in self.away
        ):
            sent.inner += self._inner.push_messages([_twin(message)])
        message.metadata.__dict__["_message_id"] = name
        self._sent[name] = sent
        return name

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        found = []
        for name in message_ids:
            found += self._pull(self._sent[name])
        for answer in found:
            self._hook("answer", answer)
        return found

    def _pull(self, sent: _Sent) -> list[Message]:
        fault, node = sent.fault, sent.message.metadata.dst_node_id
        if node in self.away:
            return [_error(sent.message, ErrorCode.NODE_UNAVAILABLE)]
        if fault and fault.what == "error before":
            return [_error(sent.message, fault.code)]
        if time.monotonic() < sent.due:
            return []
        try:
            answers = list(self._inner.pull_messages(sent.inner))
        except Exception:
            raise
        except BaseException:  # the site's process ended
            return [_error(sent.message, ErrorCode.CLIENT_APP_CRASHED)]
        if not answers or (fault and fault.what == "lost answer"):
            return []
        if fault and fault.what == "error after":
            return [_error(sent.message, fault.code)]
        if fault and fault.what == "twice":
            self._inner.push_messages([_twin(sent.message)])
            answers *= 2
        change = fault.change if fault and fault.what == "changed" else lambda content: content
        return [Message(change(answer.content), reply_to=sent.message) for answer in answers]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        raise NotImplementedError

    def close(self) -> None:
        self._inner.close()


def _twin(message: Message) -> Message:
    metadata = message.metadata
    return Message(message.content, metadata.dst_node_id, metadata.message_type, group_id=metadata.group_id)


def _error(message: Message, code: int) -> Message:
    return Message(Error(code, f"<class 'KeyError'>:<'{SECRET}'>"), reply_to=message)
