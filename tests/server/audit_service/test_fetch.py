"""A mirror holds what was published and checked, goes on after whatever broke it off, and is never talked over."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from google.protobuf.message import Message

from server.audit import mirror
from server.audit.command import audit
from server.audit.datasets import fetch_datasets
from server.audit.kept import EVIDENCE, Contradicted, alone, coordinator_of
from server.audit.mirror import INCOMING, Fetched, fetch_ledger
from server.audit.remote import Remote, ServiceAway, ServiceError
from server.audit.reports import fetch_reports
from server.audit.service import audit_pb2 as pb
from server.audit.service import servicer
from server.audit.service.servicer import Servicer
from server.dataset.files.seal import PROOF, SIGNATURE, SUMS, seal_faults
from server.ledger.export import CHECKPOINT, LINES, jsonl, read_checkpoint, read_lines
from server.report.build import write_report
from shared.canonical import digest
from shared.errors import LedgerError, ProtocolError, UsageError, WillisError
from shared.files import write_durably
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.events import Enrol
from shared.ledger.log import SignedEvent, line
from shared.ledger.view import head_of, lines_of
from tests.server.audit_service.serving import Party, append
from tests.server.ledgers import COORDINATOR, RUN_ID, SITES, Story, cosigned, identity, signed_all

MORE = Story(run_id=digest(b"another run")).events()[4:]


def silent(what: str, done: int, total: int) -> None: ...


def fetched(party: Party, host: str, out: Path, pin: str | None = None) -> Fetched:
    with party.remote(host) as remote:
        return fetch_ledger(remote, out, pin, silent)


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def words(party: Party, host: str, out: Path) -> list[str]:
    files = party.client()
    return [
        host,
        str(out),
        *map(str, ("--certificate", files.certificate, "--key", files.key, "--ca", files.authority)),
    ]


def test_everything_is_fetched_and_passes_the_audit(
    party: Party, host: str, untouched: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mirror"
    options = ["--reports", "--datasets", "--pin", COORDINATOR.public_key]
    done = CliRunner().invoke(audit, ["fetch", *words(party, host, out), *options])
    assert done.exit_code == 0, done.output
    (dataset,) = (out / "datasets").iterdir()
    assert files_of(dataset) == files_of(untouched / "dataset")
    assert seal_faults(dataset) == []
    run = out / "runs" / RUN_ID
    checked = CliRunner().invoke(audit, ["verify", str(run), "--dataset", str(dataset)])
    assert checked.exit_code == 0, checked.output
    assert "✓ report.json follows from the ledger: every byte, signed by the coordinator" in checked.output
    assert "✓ the data set is complete, unchanged and signed" in checked.output
    assert CliRunner().invoke(audit, ["verify", str(out)]).exit_code == 0


def test_a_second_fetch_brings_what_is_new_and_a_third_nothing(
    party: Party, run_dir: Path, tmp_path: Path
) -> None:
    with party.serving(run_dir) as host:
        first = fetched(party, host, tmp_path / "mirror")
        assert first.new == len(first.lines)
        append(run_dir, MORE)
        second = fetched(party, host, tmp_path / "mirror")
        assert second.new == len(MORE)
        before = files_of(tmp_path / "mirror")
        assert fetched(party, host, tmp_path / "mirror").new == 0
    assert files_of(tmp_path / "mirror") == before
    assert read_lines(tmp_path / "mirror" / "ledger") == read_lines(run_dir / "ledger")


def test_the_hospitals_cosigned_checkpoint_is_kept(party: Party, run_dir: Path, tmp_path: Path) -> None:
    lines = read_lines(run_dir / "ledger")
    witnessed = cosigned(head_of(lines[:-1]), SITES)
    (run_dir / "ledger" / "witnessed").write_text(witnessed.text)
    with party.serving(run_dir) as host, party.remote(host) as remote:
        ledger = fetch_ledger(remote, tmp_path, None, silent)
        (run,) = fetch_reports(remote, tmp_path, ledger, silent)
    for folder in (tmp_path, run):
        assert read_checkpoint(folder / "ledger" / "witnessed") == witnessed


def test_another_key_than_the_one_pinned_is_refused(party: Party, host: str, tmp_path: Path) -> None:
    with pytest.raises(ProtocolError, match="not signed by the keeper"):
        fetched(party, host, tmp_path, identity("somebody").public_key)
    assert not (tmp_path / "ledger" / CHECKPOINT).exists()
    fetched(party, host, tmp_path, COORDINATOR.public_key)
    with pytest.raises(LedgerError, match="another folder"):
        fetched(party, host, tmp_path, identity("somebody").public_key)


# Rewound and forked -----------------------------------------------------------------------------------------


def rewrite(run_dir: Path, events: list[SignedEvent]) -> None:
    """Put another history in the place of the exported one, rightly signed by the coordinator."""
    lines = lines_of(events)
    write_durably(run_dir / "ledger" / LINES, jsonl(lines))
    write_durably(run_dir / "ledger" / CHECKPOINT, Checkpoint.by(COORDINATOR, head_of(lines)).text.encode())


def forked(grown: bool) -> list[SignedEvent]:
    """Return a history of which one round is another."""
    story = Story()
    other = story.round(1).model_copy(update={"model": "0" * 64})
    events = [other if event == story.round(1) else event for event in story.events()]
    return signed_all([*events, *(MORE if grown else MORE[:2])])


HISTORIES: dict[str, tuple[Callable[[], list[SignedEvent]], str]] = {
    "rewound": (lambda: signed_all(Story().events()[:-2]), "rewound"),
    "forked, of the same size": (lambda: forked(grown=False), "forked"),
    "forked, and longer": (lambda: forked(grown=True), "forked"),
}


@pytest.mark.parametrize("kind", HISTORIES)
def test_a_history_that_contradicts_the_mirror_is_refused_with_evidence(
    party: Party, run_dir: Path, tmp_path: Path, kind: str
) -> None:
    make, said = HISTORIES[kind]
    out = tmp_path / "mirror"
    with party.serving(run_dir) as host:
        fetched(party, host, out)
    before, kept = files_of(out), (out / "ledger" / CHECKPOINT).read_bytes()
    rewrite(run_dir, make())
    with party.serving(run_dir) as host:
        for _ in range(2):  # and again: nothing of it was taken over
            with pytest.raises(Contradicted, match=said):
                fetched(party, host, out)
    (evidence,) = (out / EVIDENCE).iterdir()
    assert (evidence / "kept").read_bytes() == kept
    shown = read_checkpoint(evidence / "shown")
    assert shown.is_by(COORDINATOR.public_key)
    assert head_of(read_lines(evidence)) == shown.head  # the other history, signed: anybody can compare
    shutil.rmtree(out / EVIDENCE)
    assert files_of(out) == before


def test_a_proof_that_proves_nothing_is_refused(
    party: Party, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with party.serving(run_dir) as host:
        fetched(party, host, tmp_path)
        append(run_dir, MORE)
        monkeypatch.setattr(servicer, "_proof", lambda context, make: [bytes(32)])
        with pytest.raises(Contradicted, match="forked"):
            fetched(party, host, tmp_path)


# A service that lies about the rest ---------------------------------------------------------------------------


def test_entries_that_are_not_the_checkpoints_are_not_taken_over(
    party: Party, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each entry is signed by whom it binds; only the tree shows that one is another."""
    other = lines_of(forked(grown=False))
    monkeypatch.setattr(servicer, "_batch", lambda lines, first, end: other[first:end])
    with party.serving(run_dir) as host, pytest.raises(LedgerError, match="not those that the checkpoint fixes"):
        fetched(party, host, tmp_path)
    assert not (tmp_path / "ledger" / LINES).exists()
    monkeypatch.undo()
    with party.serving(run_dir) as host:
        assert fetched(party, host, tmp_path).new


@pytest.mark.parametrize(
    "lines", [[b"{}"], [b"garbage\xff"], [], [b"x"] * 500], ids=["strange", "no JSON", "none", "many"]
)
def test_entries_that_are_none_are_refused(
    party: Party, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[bytes]
) -> None:
    monkeypatch.setattr(servicer, "_batch", lambda known, first, end: lines)
    with party.serving(run_dir) as host, pytest.raises((LedgerError, ServiceError)):
        fetched(party, host, tmp_path, COORDINATOR.public_key)
    assert not (tmp_path / "ledger" / LINES).exists()


def test_a_report_that_was_changed_or_is_of_another_ledger_is_refused(
    party: Party, run_dir: Path, tmp_path: Path
) -> None:
    append(run_dir, MORE)  # after the report was made
    with party.serving(run_dir) as host, party.remote(host) as remote:
        ledger = fetch_ledger(remote, tmp_path, None, silent)
        with pytest.raises(LedgerError, match="of a ledger that is not here yet"):
            fetch_reports(remote, tmp_path, ledger, silent)
        write_report(run_dir)
        assert fetch_reports(remote, tmp_path, ledger, silent) == [tmp_path / "runs" / RUN_ID]


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside"])
def test_a_data_set_that_names_files_outside_is_refused(
    party: Party, host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with party.remote(host) as remote:
        ledger = fetch_ledger(remote, tmp_path / "mirror", None, silent)
        monkeypatch.setattr("server.audit.datasets.listed_sums", lambda folder: {name: "0" * 64})
        with pytest.raises(LedgerError, match="outside of it"):
            fetch_datasets(remote, tmp_path / "mirror", ledger, silent)


def test_a_file_that_was_changed_at_the_centre_is_refused(party: Party, run_dir: Path, tmp_path: Path) -> None:
    (run_dir / "dataset" / "README.md").write_text("trust me")
    with party.serving(run_dir) as host, party.remote(host) as remote:
        ledger = fetch_ledger(remote, tmp_path / "mirror", None, silent)
        with pytest.raises(LedgerError, match=r"README\.md is not the file sealed"):
            fetch_datasets(remote, tmp_path / "mirror", ledger, silent)
    assert not list((tmp_path / "mirror").rglob("README.md"))


# Broken off ---------------------------------------------------------------------------------------------------


class Broken(Exception):
    """The process ends here."""


def test_a_download_goes_on_where_it_was_broken_off(
    party: Party, host: str, untouched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servicer, "CHUNK_BYTES", 40_000)  # every file but the viewer in one piece
    came: list[int] = []
    download = Remote.download

    def broken(self: Remote, manifest: str, file: str, offset: int = 0) -> Iterator[tuple[bytes, int]]:
        for piece, size in download(self, manifest, file, offset):
            yield piece, size
            came.append(len(piece))
            if len(came) % 11 == 0:
                raise Broken

    monkeypatch.setattr(Remote, "download", broken)
    tries, dataset = 0, None
    with party.remote(host) as remote:
        ledger = fetch_ledger(remote, tmp_path, None, silent)
        size = remote.datasets()[0].size
        while dataset is None:
            tries += 1
            with suppress(Broken):
                (dataset,) = fetch_datasets(remote, tmp_path, ledger, silent)
    assert files_of(dataset) == files_of(untouched / "dataset")
    seal = sum((dataset / name).stat().st_size for name in (SUMS, SIGNATURE, PROOF))
    assert tries > 5
    assert sum(came) <= size + (tries - 1) * seal  # which comes again each time; nothing else does


@pytest.mark.parametrize(("size", "why"), [(100, "not of the size"), (0, "SHA256SUMS is not the one released")])
def test_empty_pieces_without_end_are_refused(
    party: Party, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, why: str
) -> None:
    def empty(
        self: Servicer, request: pb.DownloadDatasetRequest, context: grpc.ServicerContext
    ) -> Iterator[Message]:
        while True:
            yield pb.DownloadDatasetResponse(size=size)

    monkeypatch.setattr(Servicer, "DownloadDataset", empty)
    with party.serving(run_dir) as host, party.remote(host) as remote:
        ledger = fetch_ledger(remote, tmp_path, None, silent)
        with pytest.raises(WillisError, match=why):
            fetch_datasets(remote, tmp_path, ledger, silent)


def test_what_an_interrupted_download_left_is_not_trusted(
    party: Party, host: str, untouched: Path, tmp_path: Path
) -> None:
    """A part that is of something else, or longer than the file, is fetched anew."""
    with party.remote(host) as remote:
        ledger = fetch_ledger(remote, tmp_path, None, silent)
        manifest = remote.datasets()[0].manifest
        for name, left in (("README.md", b"something else"), ("LICENSE", bytes(100_000))):
            part = tmp_path / "partial" / digest(f"{manifest} {name}".encode())
            write_durably(part, left)
        (dataset,) = fetch_datasets(remote, tmp_path, ledger, silent)
    assert files_of(dataset) == files_of(untouched / "dataset")


def test_a_ledger_goes_on_where_it_was_broken_off(
    party: Party, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servicer, "BATCH_BYTES", 1)
    asked: list[int] = []
    stream = Servicer.StreamEvents

    def told(self: Servicer, request: pb.StreamEventsRequest, context: grpc.ServicerContext) -> Iterator[Message]:
        asked.append(request.first)
        return stream(self, request, context)

    monkeypatch.setattr(Servicer, "StreamEvents", told)

    def break_off(what: str, done: int, total: int) -> None:
        if done in (3, 7):
            raise Broken

    with party.serving(run_dir) as host, party.remote(host) as remote:
        for _ in range(2):
            with pytest.raises(Broken):
                fetch_ledger(remote, tmp_path, COORDINATOR.public_key, break_off)
            assert not (tmp_path / "ledger" / CHECKPOINT).exists()
            with (tmp_path / "ledger" / INCOMING).open("ab") as file:
                file.write(b'{"half a li')  # as a crash may leave it
        fetch_ledger(remote, tmp_path, COORDINATOR.public_key, silent)
    assert asked == [0, 3, 7]
    assert read_lines(tmp_path / "ledger") == read_lines(run_dir / "ledger")
    assert not (tmp_path / "ledger" / INCOMING).exists()


@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_fetch_killed_while_it_takes_over_is_mended_by_the_next(
    party: Party, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    with party.serving(run_dir) as host:
        fetched(party, host, tmp_path)
        append(run_dir, MORE)
        written = 0

        def killed(path: Path, data: bytes) -> None:
            nonlocal written
            written += 1
            if written > step:
                raise Broken
            write_durably(path, data)

        monkeypatch.setattr(mirror, "write_durably", killed)
        with pytest.raises(Broken):
            fetched(party, host, tmp_path)
        monkeypatch.undo()
        fetched(party, host, tmp_path)
    assert read_lines(tmp_path / "ledger") == read_lines(run_dir / "ledger")
    assert read_checkpoint(tmp_path / "ledger" / CHECKPOINT).head == head_of(read_lines(run_dir / "ledger"))


def test_a_service_that_goes_away_and_comes_back_is_waited_for(
    party: Party, run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servicer, "CHUNK_BYTES", 500)
    with party.serving(run_dir) as host:
        ledger = fetched(party, host, tmp_path)
    address = host.replace("localhost", "127.0.0.1")
    restarts = 0
    with ExitStack() as stack, party.remote(host, patience=20) as remote:

        def restart(*_: object) -> None:
            nonlocal restarts
            if restarts < 3:
                restarts += 1
                stack.close()
                stack.enter_context(party.serving(run_dir, listen=address))

        stack.enter_context(party.serving(run_dir, listen=address))
        (dataset,) = fetch_datasets(remote, tmp_path, ledger, restart)
    assert restarts == 3
    assert files_of(dataset) == files_of(run_dir / "dataset")


def test_a_service_that_is_not_there_is_said_to_be(party: Party, tmp_path: Path) -> None:
    with party.remote("localhost:9") as remote, pytest.raises(ServiceAway, match="not reached"):
        remote.checkpoint()


def test_two_commands_do_not_work_in_one_folder(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(UsageError, match="another command works in it"), alone(tmp_path):
        pass


def test_a_mirror_that_was_edited_is_refused(party: Party, host: str, tmp_path: Path) -> None:
    fetched(party, host, tmp_path)
    lines = read_lines(tmp_path / "ledger")
    write_durably(tmp_path / "ledger" / LINES, jsonl([*lines[:-1], lines[-1].replace(b"release", b"rumours")]))
    with pytest.raises(WillisError):
        fetched(party, host, tmp_path)


def test_a_service_whose_ledger_begins_with_something_else_is_named(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolled = next(entry for entry in signed_all(Story().events()) if isinstance(entry.event, Enrol))
    for lines in ([line(0, enrolled)], []):
        monkeypatch.setattr(Remote, "events", lambda *_, lines=lines, **__: iter([lines]))
        with (
            party.remote("elsewhere:1") as remote,
            pytest.raises(LedgerError, match="elsewhere:1: its ledger does not begin with its federation"),
        ):
            coordinator_of(remote)
