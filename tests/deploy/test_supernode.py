"""The guard on Flower's state in memory, with plain functions for the connection."""

import errno
import inspect
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from flwr.app import ConfigRecord, Error, Message, RecordDict
from flwr.app.message import make_message
from flwr.app.metadata import Metadata
from flwr.cli.build import build_fab_from_disk
from flwr.common.constant import ErrorCode, Status, SubStatus
from flwr.supercore.fab import Fab
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_tree,
    iterate_object_tree,
)
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.run import Run, RunNotRunningException
from flwr.supernode import start_client_internal as internal
from flwr.supernode.nodestate import NodeStateFactory

from deploy.site import supernode
from deploy.site.approvals import Approvals
from deploy.site.replies import SENTENCES, InFlight
from deploy.site.supernode import PRIVATE, Guard
from tests.deploy.small_app import CLIENT, write_app

NODE, RUN = 7, 11


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return build_fab_from_disk(write_app(tmp_path_factory.mktemp("app") / "app"))


def request_of(number: int = 1) -> Message:
    said = Metadata(RUN, "", 1, NODE, "", str(number), 1e9, 1e10, "query.echo")
    made = make_message(said, RecordDict({"c": ConfigRecord({"number": number})}))
    made.metadata.__dict__["_message_id"] = made.object_id
    return made


def run_of(content: bytes, **changes: Any) -> Run:
    plain = Run.create_empty(RUN)
    named = replace(plain, fab_id="willis/willis", fab_version="0.1.0", fab_hash=sha256(content).hexdigest())
    return replace(named, override_config={"run-folder": "/centre"}, primary_task_type="flwr-serverapp", **changes)


class Link:
    """The centre, as Flower's connection functions show it; what was sent is kept."""

    def __init__(self, run: Run, fab: Fab) -> None:
        self.run, self.fab = run, fab
        self.requests: list[Message] = []
        self.sent: list[Message] = []
        self.runtimes: list[float] = []
        self.objects: list[bytes] = []
        self.over = False

    def receive(self) -> tuple[Message, Any] | None:
        if not self.requests:
            return None
        request = self.requests.pop(0)
        self._objects = {id_: part.deflate() for id_, part in get_all_nested_objects(request).items()}
        return request, get_object_tree(request)

    def send(self, reply: Message, tree: Any, runtime: float) -> tuple[set[str], str]:
        self.sent.append(reply)
        self.runtimes.append(runtime)
        return {part.object_id for part in iterate_object_tree(tree)}, "session"

    def get_run(self, number: int) -> Run:
        if self.over:
            raise RunNotRunningException
        return self.run

    def get_fab(self, hash_: str, number: int) -> Fab:
        return self.fab

    def pull_object(self, number: int, id_: str) -> bytes:
        return self._objects[id_]

    def push_object(self, number: int, session: str, id_: str, content: bytes) -> None:
        self.objects.append(content)


class Place:
    """A guard around Flower's own functions and state."""

    def __init__(self, folder: Path, content: bytes) -> None:
        self.folder = folder
        self.approvals = Approvals(folder / "bundles")
        self.link = Link(run_of(content), Fab(sha256(content).hexdigest(), content, {}))
        self.store = ObjectStoreFactory().store()
        factory = NodeStateFactory(objectstore_factory=ObjectStoreFactory())
        self.state = factory.state()
        self.store = self.state.object_store
        self.state.set_node_id(NODE)
        self.guard = Guard(self.approvals, folder)
        self.guard.install()

    def turn(self, app: Any = None) -> int | None:
        """Let the SuperNode take one message, the app answer it, and the answer be sent, as Flower's loop does."""
        link = self.link
        with internal._init_connection(server_address="", insecure=True) as functions:
            _, receive, send, get_run, get_fab, pull_object, push_object, confirm = functions
            number = internal._pull_and_store_message(
                state=self.state,
                object_store=self.store,
                node_config={},
                receive=receive,
                get_run=get_run,
                get_fab=get_fab,
                pull_object=pull_object,
                confirm_message_received=confirm,
                trusted_entities=None,
            )
            if number is None:
                return None
            if app is not None:
                app(self)
            internal._push_messages(state=self.state, object_store=self.store, send=send, push_object=push_object)
        return len(link.sent)

    def work(self, answer: Message | None, *, whole: bool = True) -> None:
        """Do what the app's process does: take the task and the message, hand over an answer, end."""
        (task,) = self.state.get_tasks(run_ids=[RUN], statuses=[Status.PENDING])
        assert self.state.claim_task(task.task_id)
        assert self.state.activate_task(task.task_id)
        self.state.get_messages_legacy(run_ids=[RUN], is_reply=False, limit=1)
        if answer is not None:
            answer.metadata.__dict__["_message_id"] = answer.object_id
            self.store.preregister(RUN, get_object_tree(answer))
            self.state.store_message(
                make_message(answer.metadata, RecordDict(), None) if answer.has_content() else answer
            )
            for id_, part in get_all_nested_objects(answer).items():
                if whole or id_ == answer.object_id:
                    self.store.put(id_, part.deflate())
        self.state.finish_task(task.task_id, SubStatus.COMPLETED if whole else SubStatus.FAILED, "")

    def last(self) -> tuple[int, str | None]:
        return self.link.sent[-1].error.code, self.link.sent[-1].error.reason


@pytest.fixture
def place(tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name in PRIVATE:
        monkeypatch.setattr(internal, name, getattr(internal, name))  # put back afterwards
    links: list[Link] = []

    @contextmanager
    def connect(**link: Any) -> Iterator[tuple[Any, ...]]:
        to = links[0]
        yield (
            NODE, to.receive, to.send, to.get_run, to.get_fab, to.pull_object, to.push_object, lambda *_: None,
        )  # fmt: skip

    monkeypatch.setattr(internal, "_init_connection", connect)
    monkeypatch.setattr(supernode, "leave", lambda *_, **__: None)
    made = Place(tmp_path, content)
    links.append(made.link)
    return made


def answer_to(request: Message) -> Message:
    return Message(RecordDict({"c": ConfigRecord({"said": "yes"})}), reply_to=request)


def ask(place: Place, number: int = 1) -> Message:
    request = request_of(number)
    place.link.requests.append(request)
    return request


def test_nothing_to_do_is_nothing_done(place: Place) -> None:
    assert place.turn() is None
    assert place.link.sent == []


def test_an_approved_app_is_handed_the_message_and_its_answer_leaves(place: Place, content: bytes) -> None:
    place.approvals.approve(content, "")
    request = ask(place)
    place.turn(lambda p: p.work(answer_to(request)))
    (reply,) = place.link.sent
    assert not reply.has_error()
    assert reply.metadata.reply_to_message_id == request.metadata.message_id
    assert InFlight(place.folder / "inflight.json").owed() is None


def test_an_app_nobody_approved_is_refused_recorded_and_kept(place: Place, content: bytes) -> None:
    ask(place)
    place.turn()
    hash_ = sha256(content).hexdigest()
    assert place.last() == (ErrorCode.INVALID_FAB, SENTENCES[ErrorCode.INVALID_FAB])
    assert place.approvals.pending() == [hash_]
    (refusal,) = place.approvals.decisions()
    assert (refusal.verb, refusal.hash, refusal.note) == ("refused", hash_, "the bundle is not approved here")
    assert not place.state.get_tasks()


LIES: dict[str, dict[str, Any]] = {
    "another hash": {"fab_hash": "0" * 64},
    "another app": {"fab_id": "willis/revoked"},
    "another version": {"fab_version": "../../elsewhere"},
    "another program": {"primary_task_type": "flwr-agentapp"},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_superlink_that_lies_about_an_approved_app_is_refused(place: Place, content: bytes, lie: str) -> None:
    place.approvals.approve(content, "")
    place.link.run = replace(place.link.run, **LIES[lie])
    ask(place)
    place.turn()
    assert place.last()[0] == ErrorCode.INVALID_FAB
    assert not place.state.get_tasks()


def test_a_refusal_is_recorded_when_no_more_bundles_are_kept(
    place: Place, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.site.approvals.MOST_PENDING", 0)
    ask(place)
    place.turn()
    assert [d.hash for d in place.approvals.decisions()] == [sha256(content).hexdigest()]
    assert place.approvals.pending() == []


def test_a_bundle_that_nobody_could_review_is_recorded_and_not_kept(place: Place) -> None:
    place.link.fab = Fab(sha256(b"no zip").hexdigest(), b"no zip", {})
    ask(place)
    place.turn()
    assert place.last()[0] == ErrorCode.INVALID_FAB
    assert [d.hash for d in place.approvals.decisions()] == [sha256(b"no zip").hexdigest()]
    assert place.approvals.pending() == []


def test_other_bytes_under_an_approved_hash_are_refused(place: Place, content: bytes, tmp_path: Path) -> None:
    place.approvals.approve(content, "")
    other = build_fab_from_disk(write_app(tmp_path / "other", CLIENT + "\n"))
    place.link.fab = Fab(place.link.fab.hash_str, other, {})
    ask(place)
    place.turn()
    assert place.last()[0] == ErrorCode.INVALID_FAB
    assert place.approvals.pending() == [sha256(other).hexdigest()]


@pytest.mark.parametrize(
    "setting", [{"noise-multiplier": 0.0}, {"run-folder": 3}, {"run-folder": "/x", "a": True}]
)
def test_run_settings_beyond_the_policy_are_refused(place: Place, content: bytes, setting: dict[str, Any]) -> None:
    place.approvals.approve(content, "")
    place.link.run = replace(place.link.run, override_config=setting)
    ask(place)
    place.turn()
    assert place.last()[0] == ErrorCode.INVALID_FAB
    assert "only run-folder may be set" in place.approvals.decisions()[-1].note


def test_a_revocation_holds_from_the_next_message(place: Place, content: bytes) -> None:
    hash_ = place.approvals.approve(content, "")
    first = ask(place)
    place.turn(lambda p: p.work(answer_to(first)))
    place.approvals.revoke(hash_, "")
    ask(place, 2)
    place.turn()
    assert [reply.has_error() for reply in place.link.sent] == [False, True]


def test_what_cannot_be_read_is_refused(place: Place, content: bytes) -> None:
    place.approvals.approve(content, "")
    with (place.folder / "bundles" / "decisions.jsonl").open("a") as file:
        file.write("damage\n")
    ask(place)
    place.turn()
    assert place.last()[0] == ErrorCode.INVALID_FAB


@pytest.mark.parametrize("code", [ErrorCode.CLIENT_APP_RAISED_EXCEPTION, ErrorCode.LOAD_CLIENT_APP_EXCEPTION, 999])
def test_no_text_of_an_error_leaves_and_all_of_it_stays(
    place: Place, content: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    place.approvals.approve(content, "")
    request = ask(place)
    raised = Message(Error(code, "<class 'ValueError'>: patient_042"), reply_to=request)
    with caplog.at_level(logging.ERROR, "willis.guard"):
        place.turn(lambda p: p.work(raised))
    said, text = place.last()
    assert said == (code if code in SENTENCES else ErrorCode.UNKNOWN)
    assert text == SENTENCES[said]
    assert not any(b"patient_042" in sent for sent in place.link.objects)
    assert place.link.objects
    assert "patient_042" in caplog.text
    assert place.link.sent[-1].metadata.reply_to_message_id == request.metadata.message_id
    assert place.link.sent[-1].metadata.message_id == place.link.sent[-1].object_id


def test_no_running_time_leaves(place: Place, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """It grows with the number of patients drawn, so it must not depend on them."""
    monkeypatch.setattr(type(place.state), "get_message_processing_duration", lambda *_, **__: 12.5)
    place.approvals.approve(content, "")
    for number, fails in enumerate((False, True)):
        request = ask(place, number)
        error = Message(Error(ErrorCode.UNKNOWN, ""), reply_to=request)
        answer = error if fails else answer_to(request)
        place.turn(lambda p, answer=answer: p.work(answer))
    assert place.link.runtimes == [0.0, 0.0]


@pytest.mark.parametrize("lost", ["send", "push_object"])
def test_an_answer_that_the_centre_did_not_take_is_told_of(
    place: Place, content: bytes, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """Flower alone drops it, and the centre waits; the stored answer is sent again when it is asked for."""
    place.approvals.approve(content, "")
    request = ask(place)
    right, failures = getattr(place.link, lost), [RuntimeError("413")]

    def fail_once(*arguments: Any) -> Any:
        if failures:
            raise failures.pop()
        return right(*arguments)

    monkeypatch.setattr(place.link, lost, fail_once)
    place.turn(lambda p: p.work(answer_to(request)))
    assert place.last() == (ErrorCode.CLIENT_APP_CRASHED, SENTENCES[ErrorCode.CLIENT_APP_CRASHED])
    assert place.link.sent[-1].metadata.reply_to_message_id == request.metadata.message_id
    assert not (place.folder / "inflight.json").exists()


def test_nothing_is_owed_to_a_run_that_ended_during_an_answer(
    place: Place, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Message] = []

    def over(reply: Message, *_: object) -> None:
        asked.append(reply)
        raise RunNotRunningException

    place.approvals.approve(content, "")
    request = ask(place)
    monkeypatch.setattr(place.link, "send", over)
    place.turn(lambda p: p.work(answer_to(request)))
    assert [reply.has_error() for reply in asked] == [False]


@pytest.mark.parametrize("half", [None, "answer"])
def test_an_app_that_ends_without_a_whole_answer_is_answered_for(
    place: Place, content: bytes, half: str | None
) -> None:
    """Flower alone waits for ever."""
    place.approvals.approve(content, "")
    request = ask(place)
    answer = answer_to(request) if half else None
    place.turn(lambda p: p.work(answer, whole=False))
    assert place.last() == (ErrorCode.CLIENT_APP_CRASHED, SENTENCES[ErrorCode.CLIENT_APP_CRASHED])


@pytest.mark.parametrize("what", [OSError, RunNotRunningException])
def test_a_message_that_does_not_arrive_whole_is_answered(
    place: Place, content: bytes, monkeypatch: pytest.MonkeyPatch, what: type[BaseException]
) -> None:
    """Flower alone says nothing, and the centre waits; of a run that is over, the app waits for hours, too."""

    def lost(*_: object, **__: object) -> None:
        raise what

    place.approvals.approve(content, "")
    monkeypatch.setattr(internal, "pull_objects", lost)
    ask(place)
    place.turn()
    assert place.last()[0] == ErrorCode.MESSAGE_UNAVAILABLE
    assert not place.state.get_tasks(statuses=[Status.PENDING, Status.STARTING, Status.RUNNING])


def test_a_request_that_was_cut_off_is_answered_at_the_next_start(place: Place, content: bytes) -> None:
    request = request_of()
    InFlight(place.folder / "inflight.json").begin(request)
    assert place.turn() is None
    (reply,) = place.link.sent
    assert (reply.error.code, reply.metadata.reply_to_message_id) == (
        ErrorCode.CLIENT_APP_CRASHED,
        request.metadata.message_id,
    )
    assert (reply.metadata.src_node_id, reply.metadata.dst_node_id) == (NODE, 1)
    assert place.turn() is None
    assert len(place.link.sent) == 1


def test_a_centre_that_takes_no_late_answer_does_not_keep_the_site_away(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("unknown run")

    InFlight(place.folder / "inflight.json").begin(request_of())
    monkeypatch.setattr(place.link, "send", refuse)
    assert place.turn() is None
    assert InFlight(place.folder / "inflight.json").owed() is None


def test_a_site_that_cannot_write_answers_all_the_same(
    place: Place, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for where in ("supernode", "replies", "approvals"):
        monkeypatch.setattr(f"deploy.site.{where}.write_durably", full)
    ask(place)
    place.turn()
    assert place.last()[0] == ErrorCode.INVALID_FAB


def test_a_request_in_work_is_on_disk(place: Place, content: bytes) -> None:
    place.approvals.approve(content, "")
    request = ask(place)
    seen: list[Any] = []

    def app(p: Place) -> None:
        seen.append(json.loads((p.folder / "inflight.json").read_text())["message_id"])
        p.work(answer_to(request))

    place.turn(app)
    assert seen == [request.metadata.message_id]


@pytest.mark.parametrize("text", ["", "{}", '{"run_id": 1}', "\x00"])
def test_a_damaged_record_of_a_request_is_dropped(tmp_path: Path, text: str) -> None:
    file = tmp_path / "inflight.json"
    file.write_text(text)
    assert InFlight(file).owed() is None
    assert not file.exists()


def test_a_run_that_is_over_is_let_go(place: Place) -> None:
    place.link.over = True
    ask(place)
    assert place.turn() is None
    assert place.link.sent == []
    assert not (place.folder / "inflight.json").exists()


def test_unpacked_apps_of_other_bundles_are_removed_first(place: Place, content: bytes) -> None:
    hash_ = place.approvals.approve(content, "")
    same_digits = place.folder / "apps" / f"willis.willis.0.1.0.{hash_[:8]}"
    same_digits.mkdir(parents=True)
    request = ask(place)
    place.turn(lambda p: p.work(answer_to(request)))
    assert not same_digits.exists()


SIGNATURES = {
    "_init_connection": "server_address insecure root_certificates authentication_keys max_retries max_wait_time",
    "_pull_and_store_message": "state object_store node_config receive get_run get_fab pull_object "
    "confirm_message_received trusted_entities",
    "_push_messages": "state object_store send push_object",
    "_insert_message": "msg state store",
}


@pytest.mark.parametrize("name", PRIVATE)
def test_flowers_private_functions_are_where_the_guard_wraps_them(name: str) -> None:
    told = f"flwr {version('flwr')} moved {name}: read it again and mend deploy/site/supernode.py before upgrading"
    assert version("flwr").startswith("1.41."), told
    assert hasattr(internal, name), told
    assert list(inspect.signature(getattr(internal, name)).parameters) == SIGNATURES[name].split(), told
    source = inspect.getsource(internal.start_client_internal) + inspect.getsource(
        internal._pull_and_store_message
    )
    assert f"{name}(" in source, told
