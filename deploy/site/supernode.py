"""The hospital's word between Flower's connection to the centre and its SuperNode.

Flower has no hook for what a site must check, so three private functions of flwr 1.41 are wrapped (`PRIVATE`); a
test fails when one of them moves. Every message is judged by what is on disk at that moment.
"""

import hashlib
import importlib
import logging
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from flwr.app import Message
from flwr.common.constant import ErrorCode, Status, SubStatus
from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore.fab import Fab
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from flwr.supercore.object_store import ObjectStore
from flwr.supercore.run import Run, RunNotRunningException
from flwr.supernode.nodestate import NodeState

from deploy.site.approvals import Approvals
from deploy.site.contents import read_bundle
from deploy.site.leaving import leave
from deploy.site.replies import RUNTIME, InFlight, PushObject, Send, error, send_error
from deploy.site.verdict import objection
from shared.errors import UsageError
from shared.files import write_durably

INTERNAL = "flwr.supernode.start_client_internal"
PRIVATE = ("_init_connection", "_pull_and_store_message", "_push_messages", "_insert_message")
POLL_SECONDS = 0.25

_UNFINISHED = (Status.PENDING, Status.STARTING, Status.RUNNING)
_log = logging.getLogger("willis.guard")


class Guard:
    """Stands between Flower's connection to the centre and its state; one request at a time, as Flower works."""

    def __init__(self, approvals: Approvals, flower_home: Path) -> None:
        self._approvals = approvals
        self._in_flight = InFlight(flower_home / "inflight.json")
        self._node = flower_home / "node-id"
        self._apps = flower_home / "apps"
        self._unpacked = ""  # hash of the bundle that Flower may have unpacked since this process started
        self._request: Message | None = None
        self._missing: set[str] | None = None  # what the centre lacks of the answer; None: it never heard of it

    def install(self) -> None:
        """Wrap Flower's private functions."""
        internal = importlib.import_module(INTERNAL)
        connect, pull, push, insert = (getattr(internal, name) for name in PRIVATE)
        self._insert: Callable[..., None] = insert
        wrapped = (self.connecting(connect), self.pulling(pull), self.pushing(push))
        for name, function in zip(PRIVATE, wrapped, strict=False):
            setattr(internal, name, function)

    def connecting(
        self, connect: Callable[..., AbstractContextManager[tuple[Any, ...]]]
    ) -> Callable[..., AbstractContextManager[tuple[Any, ...]]]:
        """Wrap the connection: no error's text and no running time leave by it; a request cut off is answered."""

        @contextmanager
        def connection(**link: Any) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401  # as Flower's
            leave(self._node, **link)
            with connect(**link) as functions:
                node, receive, send, *between, push_object, confirm = functions
                with _without_disk("the node's number"):
                    write_durably(self._node, str(node).encode())
                self._answer_owed(self._in_flight.owed(), send, push_object)
                push_noted = self._noting(push_object)
                yield node, receive, self._redacting(send, push_object), *between, push_noted, confirm

        return connection

    def pulling(self, pull: Callable[..., int | None]) -> Callable[..., int | None]:
        """Wrap the receipt of a message: it reaches the state if the site runs what it asks for."""

        def guarded(
            *,
            state: NodeState,
            object_store: ObjectStore,
            receive: Callable[[], tuple[Message, ObjectTree] | None],
            get_run: Callable[[int], Run],
            get_fab: Callable[[str, int], Fab],
            **others: object,
        ) -> int | None:
            try:
                received = receive()
                if received is None:
                    return None
                request, _ = received
                self._begin(request)
                number = request.metadata.run_id
                run = state.get_run(number) or get_run(number)
                fab = state.get_fab(run.fab_hash) or get_fab(run.fab_hash, number)
            except RunNotRunningException:
                _log.info("a message of a run that is over was left unanswered")
                self._end()
                return None
            if why := objection(run, fab, self._approvals):
                self._refuse(run, fab, why)
                self._reply(state, object_store, ErrorCode.INVALID_FAB)
                return number
            self._start_afresh(fab)
            done = pull(
                state=state,
                object_store=object_store,
                receive=lambda: received,
                get_run=lambda _: run,
                get_fab=lambda *_: fab,
                **others,
            )
            if done is None:  # Flower would say nothing, and the centre would wait
                _end_tasks(state, number)
                self._reply(state, object_store, ErrorCode.MESSAGE_UNAVAILABLE)
            return number

        return guarded

    def pushing(self, push: Callable[..., None]) -> Callable[..., None]:
        """Wrap the wait for an answer: it ends when the app has ended, with a whole answer or with an error.

        Flower alone waits for ever for an app that ends without an answer, or in the middle of handing it over; an
        answer that the centre did not take it drops, though to ask again for a stored one costs nothing.
        """

        def guarded(*, state: NodeState, object_store: ObjectStore, send: Send, push_object: PushObject) -> None:
            assert self._request is not None
            number = self._request.metadata.run_id
            while state.get_tasks(run_ids=[number], statuses=_UNFINISHED):
                time.sleep(POLL_SECONDS)
            if not self._has_whole_reply(state, object_store):
                _log.error("run %d: the app ended without an answer", number)
                self._reply(state, object_store, ErrorCode.CLIENT_APP_CRASHED)
            self._missing = None
            push(state=state, object_store=object_store, send=send, push_object=push_object)
            if self._missing is None or self._missing:
                self._answer_owed(self._request, send, push_object)
            self._end()

        return guarded

    def _begin(self, request: Message) -> None:
        self._request = request
        with _without_disk("the request in work"):
            self._in_flight.begin(request)

    def _end(self) -> None:
        self._in_flight.end()
        self._request = None

    def _reply(self, state: NodeState, object_store: ObjectStore, code: int) -> None:
        """Answer the present request with an error."""
        assert self._request is not None
        self._insert(Message(error(code), reply_to=self._request), state, object_store)

    def _refuse(self, run: Run, fab: Fab, why: str) -> None:
        """Write a refusal down and keep its bundle for review; what fails here refuses all the same."""
        _log.error("run %d was refused: %s", run.run_id, why)
        with _without_disk("the refusal"):
            self._approvals.refuse(hashlib.sha256(fab.content).hexdigest(), why)
        with _without_disk("the bundle"):
            read_bundle(fab.content)  # what nobody could review is not kept for review
            self._approvals.keep(fab.content)

    def _start_afresh(self, fab: Fab) -> None:
        """Remove unpacked apps that may not be this one.

        Flower takes a folder for an app's by eight digits of its hash, and never looks at it again: it may be
        another bundle's, or half of one.
        """
        if fab.hash_str != self._unpacked:
            shutil.rmtree(self._apps, ignore_errors=True)
            self._unpacked = fab.hash_str

    def _has_whole_reply(self, state: NodeState, object_store: ObjectStore) -> bool:
        """Return whether an answer and all it consists of are there; take away half of one."""
        assert self._request is not None
        asked = self._request.metadata.message_id
        replies = [m for m in _messages(state) if m.metadata.reply_to_message_id == asked]
        for reply in replies:
            id_ = reply.metadata.message_id
            if all(
                object_store.get(part.object_id) for part in iterate_object_tree(object_store.get_object_tree(id_))
            ):
                return True
            state.delete_messages(message_ids=[id_])
            object_store.delete(id_)
        return False

    def _redacting(self, send: Send, push_object: PushObject) -> Send:
        def redacting(reply: Message, tree: ObjectTree, _runtime: float) -> tuple[set[str], str]:
            if not reply.has_error():
                with self._unless_over():
                    wanted, session = send(reply, tree, RUNTIME)
                self._missing = set(wanted)
                return wanted, session
            _log.error("run %d: %s", reply.metadata.run_id, reply.error.reason)
            self._unpacked = ""
            with self._unless_over():
                send_error(reply, send, push_object)
            self._missing = set()
            return set(), ""

        return redacting

    def _noting(self, push_object: PushObject) -> PushObject:
        def noting(run: int, session: str, id_: str, content: bytes) -> None:
            with self._unless_over():
                push_object(run, session, id_, content)
            (self._missing or set()).discard(id_)

        return noting

    @contextmanager
    def _unless_over(self) -> Iterator[None]:
        """Owe nothing to a run that is over."""
        try:
            yield
        except RunNotRunningException:
            self._missing = set()
            raise

    def _answer_owed(self, request: Message | None, send: Send, push_object: PushObject) -> None:
        if request is None:
            return
        _log.warning("run %d: the answer to a request was cut off; the centre is told", request.metadata.run_id)
        try:
            send_error(Message(error(ErrorCode.CLIENT_APP_CRASHED), reply_to=request), send, push_object)
        except Exception as err:  # the run may be over, or unknown to a centre set up anew: never a reason to end
            _log.info("run %d takes no answer: %s", request.metadata.run_id, type(err).__name__)
        self._in_flight.end()


@contextmanager
def _without_disk(what: str) -> Iterator[None]:
    """Go on where something cannot be written: a site with a full disk says so, rather than vanish."""
    try:
        yield
    except (UsageError, OSError) as err:
        _log.error("%s could not be written down: %s", what, err)


def _end_tasks(state: NodeState, run: int) -> None:
    """End what was begun for a message that did not come whole: Flower lets the app of a run that is over wait."""
    for task in state.get_tasks(run_ids=[run], statuses=_UNFINISHED):
        state.finish_task(task.task_id, SubStatus.FAILED, "the message did not come whole")


def _messages(state: NodeState) -> list[Message]:
    """Return all messages in the state; Flower's own look-up would take them for sent."""
    return [entry.message for entry in list(state.msg_store.values())]  # type: ignore[attr-defined]
