"""A watcher shouts when the ledger is rewound or forked, and keeps its state while the service is away."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner, Result

from server.audit import kept
from server.audit import watch as watching
from server.audit.command import audit
from server.audit.kept import EVIDENCE
from server.audit.service.servicer import Servicer
from server.audit.watch import ALARM
from server.ledger.export import CHECKPOINT, read_checkpoint
from shared.errors import WillisError
from tests.server.audit_service.serving import Party, append
from tests.server.audit_service.test_fetch import HISTORIES, MORE, files_of, rewrite, words
from tests.server.ledgers import COORDINATOR, Story, identity, signed_all


def watch(party: Party, host: str, out: Path, *options: str) -> Result:
    return CliRunner().invoke(audit, ["watch", *words(party, host, out), *(options or ("--once",))])


def test_a_ledger_that_grows_is_followed(party: Party, run_dir: Path, tmp_path: Path) -> None:
    out = tmp_path / "seen"
    with party.serving(run_dir) as host:
        first = watch(party, host, out, "--once", "--pin", COORDINATOR.public_key)
        assert first.exit_code == 0, first.output
        append(run_dir, MORE)
        assert f"{len(MORE)} of them new" in watch(party, host, out).output
        before = files_of(out)
        assert "0 of them new" in watch(party, host, out).output
    assert files_of(out) == before
    assert read_checkpoint(out / CHECKPOINT) == read_checkpoint(run_dir / "ledger" / CHECKPOINT)


@pytest.mark.parametrize("kind", HISTORIES)
def test_a_ledger_that_contradicts_what_was_seen_is_shouted_about(
    party: Party, run_dir: Path, tmp_path: Path, kind: str
) -> None:
    make, said = HISTORIES[kind]
    out, told = tmp_path / "seen", tmp_path / "told.json"
    with party.serving(run_dir) as host:
        assert watch(party, host, out).exit_code == 0
    seen = (out / CHECKPOINT).read_bytes()
    rewrite(run_dir, make())
    tell = f'{sys.executable} -c \'import json, sys; json.dump(sys.argv[1:], open("{told}", "w"))\' shout'
    with party.serving(run_dir) as host:
        for options in (("--once", "--run", tell), ("--every", "0.1")):  # and again, after a restart
            done = watch(party, host, out, *options)
            assert done.exit_code == ALARM
            assert "ALARM" in done.stderr
            assert said in done.stderr
    assert json.loads(told.read_text()) == ["shout", str(out / EVIDENCE)]
    assert (out / CHECKPOINT).read_bytes() == seen
    (evidence,) = (out / EVIDENCE).iterdir()
    assert (evidence / "kept").read_bytes() == seen
    assert read_checkpoint(evidence / "shown").is_by(COORDINATOR.public_key)


def stalls(self: Servicer, request: object, context: grpc.ServicerContext) -> Iterator[object]:
    """Answer nothing for as long as anybody listens."""
    ended = threading.Event()
    if context.add_callback(ended.set):
        ended.wait(30)
    yield from ()


def denies(self: Servicer, request: object, context: grpc.ServicerContext) -> object:
    context.abort(grpc.StatusCode.OUT_OF_RANGE, "the ledger was never that long")


@pytest.mark.parametrize("kind", HISTORIES)
def test_a_service_that_withholds_what_it_is_asked_does_not_keep_the_alarm_back(
    party: Party, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    out = tmp_path / "seen"
    with party.serving(run_dir) as host:
        assert watch(party, host, out).exit_code == 0
    rewrite(run_dir, HISTORIES[kind][0]())
    monkeypatch.setattr(kept, "_SECONDS", 0.5)
    monkeypatch.setattr(Servicer, "StreamEvents", stalls)
    monkeypatch.setattr(Servicer, "GetConsistencyProof", denies)
    with party.serving(run_dir) as host:
        done = watch(party, host, out, "--once", "--pin", COORDINATOR.public_key)
        assert done.exit_code == ALARM, done.output
        (evidence,) = (out / EVIDENCE).iterdir()
        assert read_checkpoint(evidence / "shown").is_by(COORDINATOR.public_key)
        begun = time.monotonic()
        assert watch(party, host, out).exit_code == 1  # without a pin it must ask who keeps the ledger
        assert time.monotonic() - begun < 10


def away(self: Servicer, request: object, context: grpc.ServicerContext) -> object:
    context.abort(grpc.StatusCode.UNAVAILABLE, "come back later")


def test_a_proof_that_is_withheld_again_and_again_is_an_alarm(
    party: Party, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a coordinator could fork, and be taken for one whose service is often away."""
    out = tmp_path / "seen"
    with party.serving(run_dir) as host:
        assert watch(party, host, out).exit_code == 0
    append(run_dir, MORE)
    with monkeypatch.context() as patch:
        patch.setattr(Servicer, "GetConsistencyProof", away)
        with party.serving(run_dir) as host:
            assert [watch(party, host, out).exit_code for _ in range(3)] == [1, 1, ALARM]
    shown = {path.read_bytes() for path in (out / "unproven").iterdir()}
    assert shown == {(run_dir / "ledger" / CHECKPOINT).read_bytes()}
    with party.serving(run_dir) as host:
        assert watch(party, host, out).exit_code == 0  # the proof came after all
    assert not (out / "unproven").exists()


def test_another_key_is_an_alarm(party: Party, host: str, tmp_path: Path) -> None:
    assert watch(party, host, tmp_path, "--once", "--pin", identity("x").public_key).exit_code == ALARM
    assert not (tmp_path / CHECKPOINT).exists()


def test_a_service_that_is_away_is_asked_again_less_and_less_often(
    party: Party, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with party.serving(run_dir) as host:
        assert watch(party, host, tmp_path / "seen").exit_code == 0
    address = host.replace("localhost", "127.0.0.1")
    waits: list[float] = []
    real = time.sleep
    with ExitStack() as stack:

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            real(0.3)  # gRPC itself waits a little before it connects again
            if len(waits) == 4:
                rewrite(run_dir, signed_all(Story().events()[:-2]))
                stack.enter_context(party.serving(run_dir, listen=address))

        monkeypatch.setattr(time, "sleep", sleep)
        done = watch(party, host, tmp_path / "seen", "--every", "1000")
    assert waits[:4] == [2000, 3600, 3600, 3600]
    assert done.stderr.count("away ") == len(waits)
    assert done.exit_code == ALARM


def test_looking_once_says_that_the_service_is_away(party: Party, tmp_path: Path) -> None:
    done = watch(party, "localhost:9", tmp_path)
    assert isinstance(done.exception, WillisError)
    assert "not reached" in str(done.exception)


def test_a_checkpoint_is_kept_only_after_it_was_checked(
    party: Party, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before it is written, the next look starts from the old one; written, it was checked."""
    out = tmp_path / "seen"
    with party.serving(run_dir) as host:
        assert watch(party, host, out).exit_code == 0
        before = files_of(out)
        append(run_dir, MORE)

        def killed(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(watching, "write_durably", killed)
        assert watch(party, host, out).exit_code != 0
        monkeypatch.undo()
        assert files_of(out) == before
        assert f"{len(MORE)} of them new" in watch(party, host, out).output
