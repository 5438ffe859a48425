"""The one form that changes something: a genuine signature of a steward in office counts, and nothing else."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from server.portal import taking
from server.run.folder import RunFolder
from server.run.status import Watch
from shared.canonical import digest
from shared.ledger.events import Check, Gate
from shared.ledger.store import LedgerStore
from tests.server.ledgers import signed as signed_entry
from tests.server.portal.conftest import client_of
from tests.server.portal.scene import FIRST, STEWARD, Scene


@pytest.fixture
def steward(own: Scene) -> TestClient:
    return client_of(own)


def size(made: Scene) -> int:
    with closing(LedgerStore(made.home / "ledger.sqlite", create=False)) as store:
        return store.head.size


def test_the_page_holds_all_that_a_steward_needs(steward: TestClient, own: Scene) -> None:
    text = steward.get(f"/approvals/{own.waiting}").text
    assert "no case copies another" in text
    assert f"willis dataset approve {own.waiting} --key KEYS --as {STEWARD} --coordinator" in text
    assert f"/dataset/{own.waiting}/file/index.html" in text
    assert STEWARD in text
    assert "password" not in text


@pytest.mark.parametrize(("way", "decision"), [("file", "approved"), ("text", "refused")])
def test_a_signed_decision_is_taken_once(steward: TestClient, own: Scene, way: str, decision: str) -> None:
    signed, before = own.approval(own.waiting, decision), size(own)
    address = f"/approvals/{own.waiting}"
    for _ in range(2):
        if way == "file":
            answer = steward.post(address, files={"file": ("approval.json", signed)})
        else:
            answer = steward.post(address, data={"approval": signed.decode()})
        assert answer.status_code == 200
        assert "Taken into the ledger" in answer.text
    assert size(own) == before + 1
    stands = {"approved": "may be released", "refused": "refused by a data steward, for good"}
    assert stands[decision] in steward.get("/approvals").text
    assert f"{STEWARD} {decision} candidate" in steward.get(_ledger(steward)).text
    entry = steward.get(f"{_ledger(steward)}/{before}").text
    assert "genuine</span>" in entry
    assert f"by steward/{STEWARD}" in entry


def test_nothing_else_is_taken(steward: TestClient, own: Scene) -> None:
    good = own.approval(own.waiting)
    forged = json.loads(good) | {"signature": "00" * 64}
    changed = json.loads(good)
    changed["event"]["decision"] = "refused"
    before = size(own)
    for text in (
        "",
        "rubbish",
        "{}",
        "null",
        json.dumps(forged),
        json.dumps(changed),
        own.approval(own.shut).decode(),  # of another candidate, which the gate shut out
        own.approval(own.waiting, by="mallory").decode(),  # nobody named this steward
        "[" * 20_000,
    ):
        answer = steward.post(f"/approvals/{own.waiting}", data={"approval": text})
        assert answer.status_code == 400, text[:80]
        assert "Nothing was taken" in answer.text
        assert str(own.home) not in answer.text
    cross = steward.post(
        f"/approvals/{own.waiting}", data={"approval": good.decode()}, headers={"sec-fetch-site": "cross-site"}
    )
    assert cross.status_code == 403
    assert size(own) == before


def test_a_refusal_is_for_good(steward: TestClient, own: Scene) -> None:
    """The rule is the ledger's (`server.dataset.releasing.approval`), and the page keeps to it."""
    address = f"/approvals/{own.waiting}"
    for decision, status in (("approved", 200), ("refused", 200), ("approved", 200)):
        signed = own.approval(own.waiting, decision).decode()
        assert steward.post(address, data={"approval": signed}).status_code == status
    assert "refused by a data steward, for good" in steward.get(address).text
    assert (
        steward.post(f"/approvals/{own.shut}", data={"approval": own.approval(own.shut).decode()}).status_code
        == 400
    )


def test_while_the_ledger_is_locked_nothing_is_lost(
    steward: TestClient, own: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "_SECONDS", 0.1)
    signed, before = own.approval(own.waiting).decode(), size(own)
    address = f"/approvals/{own.waiting}"
    with (own.home / "ledger.lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "is writing to the ledger" in steward.get(address).text
        answer = steward.post(address, data={"approval": signed})
        assert answer.status_code == 503
        assert "&#34;signature&#34;" in answer.text  # what was sent is in the form
    assert size(own) == before
    assert steward.post(address, data={"approval": signed}).status_code == 200


def test_a_run_under_way_is_told_and_takes_decisions_all_the_same(steward: TestClient, own: Scene) -> None:
    second = RunFolder(own.runs[1])
    with conducted_elsewhere(second) as watch:
        watch.tell(phase="rounds")
        assert "Process: running, rounds" in steward.get("/").text
        assert "is going on" in steward.get(f"/approvals/{own.waiting}").text
        signed = own.approval(own.waiting).decode()
        assert steward.post(f"/approvals/{own.waiting}", data={"approval": signed}).status_code == 200
        watch.tell(sentence=f"{second.path}/run.json: damaged, see {own.home}/key")
    stopped = steward.get("/").text
    assert "interrupted, rounds: second/run.json: damaged, see first/home/key" in stopped
    assert str(second.path.parent) not in stopped
    second.status_file.write_text("{")
    damaged = steward.get("/").text
    assert "its status is damaged" in damaged
    assert str(second.path.parent) not in damaged


@contextmanager
def conducted_elsewhere(folder: RunFolder) -> Iterator[Watch]:
    """Hold a run as the process that conducts it does, and end without a word."""
    with folder.lock_file.open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Watch(folder)


def test_a_network_waits_too_and_is_never_given_away(steward: TestClient, own: Scene) -> None:
    manifest = digest(b"weights")
    gate = Gate(
        run=FIRST, manifest=manifest, checks=(Check(name="the run may be published", passed=True, words="yes"),)
    )
    with closing(LedgerStore(own.home / "ledger.sqlite", create=False)) as store:
        store.append(signed_entry(gate))
    (own.runs[0] / "candidates" / f"{manifest[:12]}.safetensors").write_bytes(b"weights")
    assert f"/approvals/{manifest[:12]}" in steward.get("/approvals").text
    assert "A trained network" in steward.get(f"/approvals/{manifest[:12]}").text
    assert manifest[:12] not in steward.get("/datasets").text
    for name in ("", "model.safetensors", "SHA256SUMS", f"{manifest[:12]}.safetensors"):
        answer = steward.get(f"/dataset/{manifest[:12]}/file/{name}")
        assert answer.status_code == 404
        assert b"weights" not in answer.content


def test_a_copy_without_the_federation_shows_and_takes_nothing(own: Scene, tmp_path: Path) -> None:
    signed = own.approval(own.waiting).decode()
    own.home.rename(tmp_path / "elsewhere")
    visitor = client_of(own)
    address = f"/approvals/{own.waiting}"
    assert "not on this machine" in visitor.get(address).text
    assert visitor.post(address, data={"approval": signed}).status_code == 400


def _ledger(visitor: TestClient) -> str:
    from tests.server.portal.addresses import links

    return next(link for link in links(visitor.get("/").text) if link.endswith("/ledger"))
