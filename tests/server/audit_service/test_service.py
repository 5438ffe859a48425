"""What the service answers, and that nothing can be read through it but what was published."""

import json
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from server.audit.service import audit_pb2 as pb
from server.audit.service import rpc
from server.audit.service.archive import Archive
from server.dataset.files.seal import PROOF, SIGNATURE, SUMS, listed_sums
from server.ledger.export import CHECKPOINT, read_checkpoint, read_lines
from shared.canonical import digest
from shared.errors import LedgerError
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.events import Release
from shared.ledger.merkle import leaf_hash, verify_consistency, verify_inclusion
from shared.ledger.view import head_of
from shared.privacy.events import NoiseSource
from tests.server.audit_service.serving import Party, append, published
from tests.server.ledgers import COORDINATOR, RUN_ID, Story

LISTED = ".bidsignore"


def status_of(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    """Return how a call ended, and what was said."""
    assert isinstance(error, grpc.Call)
    return error.code(), error.details() or ""


def refused(party: Party, host: str, method: str, request: Message) -> tuple[grpc.StatusCode, str]:
    """Return how a request was refused."""
    with party.channel(host) as channel:
        try:
            list(rpc.call(channel, method, request, 10))
        except grpc.RpcError as err:
            return status_of(err)
    raise AssertionError("it was answered")


def test_the_ledger_and_its_checkpoint_are_those_exported(party: Party, host: str, untouched: Path) -> None:
    with party.remote(host) as remote:
        text, witnessed = remote.checkpoint()
        shown = parse_checkpoint(text, "shown")
        lines = [line for batch in remote.events(0, shown.head.size) for line in batch]
    assert text == (untouched / "ledger" / CHECKPOINT).read_text()
    assert witnessed == ""
    assert lines == read_lines(untouched / "ledger")
    assert head_of(lines) == shown.head


def test_a_proof_served_verifies(party: Party, host: str, untouched: Path) -> None:
    lines = read_lines(untouched / "ledger")
    size, root = len(lines), bytes.fromhex(head_of(lines).root)
    with party.channel(host) as channel:
        made = rpc.call(channel, "GetInclusionProof", pb.GetInclusionProofRequest(index=3, size=size))
        grown = rpc.call(channel, "GetConsistencyProof", pb.GetConsistencyProofRequest(old_size=5, new_size=size))
    assert verify_inclusion(leaf_hash(lines[3]), 3, size, made.hashes, root)
    assert verify_consistency(5, size, bytes.fromhex(head_of(lines[:5]).root), root, grown.hashes)


def test_the_report_is_the_one_signed(party: Party, host: str, untouched: Path) -> None:
    with party.remote(host) as remote:
        found = remote.report(RUN_ID)
    assert found is not None
    assert found.report == (untouched / "report" / "report.json").read_bytes()
    assert found.signature == (untouched / "report" / "report.json.sig").read_text()
    made_from = json.loads(found.report)["ledger"]
    head = parse_checkpoint(found.checkpoint, "shown").head
    assert made_from == {"size": head.size, "root": head.root}


def test_every_file_of_a_data_set_can_be_downloaded_from_any_offset(
    party: Party, host: str, untouched: Path
) -> None:
    dataset = untouched / "dataset"
    with party.remote(host) as remote:
        (listed,) = remote.datasets()
        assert listed.manifest == digest((dataset / SUMS).read_bytes())
        assert (listed.run, listed.cases) == (RUN_ID, 3)
        names = [SUMS, SIGNATURE, PROOF, *listed_sums(dataset)]
        assert listed.files == len(names)
        for name in names:
            data = (dataset / name).read_bytes()
            for offset in {0, len(data) // 2, len(data)}:
                got = b"".join(piece for piece, _ in remote.download(listed.manifest, name, offset))
                assert got == data[offset:]


HOSTILE = (
    "../plan.json",
    "../home/coordinator.key",
    "sub-syn0001/../../plan.json",
    "..",
    "",
    ".",
    "/etc/passwd",
    "//etc/passwd",
    "./" + LISTED,
    "sub-syn0001//anat",
    "sub-syn0001",
    "sub-syn0001/",
    LISTED + "\x00",
    LISTED.upper(),
    "extra",
    "link",
    "a" * 5000,
)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_leads_out_of_a_data_set(party: Party, host: str, name: str) -> None:
    with party.remote(host) as remote:
        manifest = remote.datasets()[0].manifest
    request = pb.DownloadDatasetRequest(manifest=manifest, file=name)
    assert refused(party, host, "DownloadDataset", request)[0] is grpc.StatusCode.NOT_FOUND


def test_a_link_in_the_place_of_a_file_is_not_followed(party: Party, run_dir: Path) -> None:
    dataset = run_dir / "dataset"
    (dataset / LISTED).unlink()
    (dataset / LISTED).symlink_to(run_dir / "home" / "coordinator.key")
    case = next(dataset.glob("sub-*"))
    inside = next(path for path in case.rglob("*") if path.is_file()).relative_to(dataset).as_posix()
    case.rename(run_dir / "elsewhere")
    case.symlink_to(run_dir / "elsewhere")
    with party.serving(run_dir) as host, party.remote(host) as remote:
        manifest = remote.datasets()[0].manifest
        for name in (LISTED, inside):
            request = pb.DownloadDatasetRequest(manifest=manifest, file=name)
            assert refused(party, host, "DownloadDataset", request)[0] is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("run", ["", ".", "..", "../run", "/", "*", RUN_ID[:12], RUN_ID + "\n", "f" * 64])
def test_no_name_of_a_run_leads_anywhere_else(party: Party, host: str, run: str) -> None:
    assert refused(party, host, "GetReport", pb.GetReportRequest(run=run))[0] is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("manifest", ["", "..", "f" * 64, RUN_ID, "../dataset"])
def test_no_manifest_but_a_released_one_is_served(party: Party, host: str, manifest: str) -> None:
    request = pb.DownloadDatasetRequest(manifest=manifest, file=SUMS)
    assert refused(party, host, "DownloadDataset", request)[0] is grpc.StatusCode.NOT_FOUND


def test_neither_candidates_nor_simulations_nor_forged_reports_are_served(party: Party, tmp_path: Path) -> None:
    simulated = published(tmp_path / "run", Story(noise_source=NoiseSource.SEEDED))
    candidate = simulated / "candidates" / "abc"
    (simulated / "dataset").rename(tmp_path / "away")
    other = published(tmp_path / "other")
    candidate.parent.mkdir()
    (other / "dataset").rename(candidate)  # sealed by the same coordinator, released in another ledger
    report = simulated / "report" / "report.json"
    report.write_bytes(report.read_bytes().replace(b"willis-report", b"willis-rumour"))
    with party.serving(simulated, datasets=[candidate, tmp_path / "away"]) as host, party.remote(host) as remote:
        assert list(remote.datasets()) == []
        assert remote.report(RUN_ID) is None


OUT_OF_RANGE = (
    ("StreamEvents", pb.StreamEventsRequest(first=0, size=10**6)),
    ("StreamEvents", pb.StreamEventsRequest(first=5, size=4)),
    ("StreamEvents", pb.StreamEventsRequest(first=2**64 - 1, size=2**64 - 1)),
    ("GetInclusionProof", pb.GetInclusionProofRequest(index=0, size=0)),
    ("GetInclusionProof", pb.GetInclusionProofRequest(index=3, size=3)),
    ("GetInclusionProof", pb.GetInclusionProofRequest(index=0, size=2**64 - 1)),
    ("GetConsistencyProof", pb.GetConsistencyProofRequest(old_size=6, new_size=5)),
    ("GetConsistencyProof", pb.GetConsistencyProofRequest(old_size=1, new_size=10**6)),
)


@pytest.mark.parametrize(("method", "request_"), OUT_OF_RANGE)
def test_what_the_ledger_never_had_is_out_of_range(
    party: Party, host: str, method: str, request_: Message
) -> None:
    assert refused(party, host, method, request_)[0] is grpc.StatusCode.OUT_OF_RANGE


def test_an_offset_beyond_the_end_is_out_of_range(party: Party, host: str) -> None:
    with party.remote(host) as remote:
        manifest = remote.datasets()[0].manifest
    request = pb.DownloadDatasetRequest(manifest=manifest, file=SUMS, offset=2**64 - 1)
    assert refused(party, host, "DownloadDataset", request)[0] is grpc.StatusCode.OUT_OF_RANGE


def test_a_message_that_is_too_large_is_refused(party: Party, host: str) -> None:
    request = pb.GetReportRequest(run="x" * 100_000)
    assert refused(party, host, "GetReport", request)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_health_and_reflection_answer(party: Party, host: str) -> None:
    with party.channel(host) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        answer = health.Check(health_pb2.HealthCheckRequest(service="willis.audit.v1.Audit"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        (told,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]))
        assert "willis.audit.v1.Audit" in {service.name for service in told.list_services_response.service}


# A ledger that grows, or contradicts itself -----------------------------------------------------------------


def test_what_a_live_coordinator_exports_is_served_and_earlier_sizes_stay(party: Party, run_dir: Path) -> None:
    with party.serving(run_dir) as host, party.remote(host) as remote:
        old = parse_checkpoint(remote.checkpoint()[0], "shown").head
        append(run_dir, Story(run_id=digest(b"another run")).events()[4:])
        new = parse_checkpoint(remote.checkpoint()[0], "shown").head
        assert new.size > old.size
        proof = remote.consistency(old.size, new.size)
        assert verify_consistency(old.size, new.size, bytes.fromhex(old.root), bytes.fromhex(new.root), proof)
        for head in (old, new):
            assert head_of(line for batch in remote.events(0, head.size) for line in batch) == head


def test_lines_without_their_checkpoint_are_not_served(party: Party, run_dir: Path) -> None:
    """An export that is being written, or was broken off: lines come first, the checkpoint last."""
    before = (run_dir / "ledger" / CHECKPOINT).read_bytes()
    append(run_dir, Story(run_id=digest(b"another run")).events()[4:])
    (run_dir / "ledger" / CHECKPOINT).write_bytes(before)
    with party.serving(run_dir) as host, party.remote(host) as remote:
        size = parse_checkpoint(remote.checkpoint()[0], "shown").head.size
        assert size < len(read_lines(run_dir / "ledger"))
        request = pb.StreamEventsRequest(first=0, size=size + 1)
        assert refused(party, host, "StreamEvents", request)[0] is grpc.StatusCode.OUT_OF_RANGE


def test_runs_of_one_home_are_served_together_and_new_ones_are_noticed(party: Party, tmp_path: Path) -> None:
    first = published(tmp_path / "centre" / "runs" / "first")
    with party.serving(tmp_path / "centre") as host, party.remote(host) as remote:
        (tmp_path / "centre" / "runs" / "second").mkdir()
        second = tmp_path / "centre" / "runs" / "second"
        (second / "federation.json").write_text((first / "federation.json").read_text())
        append(second, Story(run_id=digest(b"second")).events()[4:])
        size = parse_checkpoint(remote.checkpoint()[0], "shown").head.size
        assert size == len(read_lines(second / "ledger")) > len(read_lines(first / "ledger"))


def test_a_ledger_rewritten_under_the_service_is_not_served(party: Party, run_dir: Path) -> None:
    with party.serving(run_dir) as host:
        lines = read_lines(run_dir / "ledger")[:-1]
        (run_dir / "ledger" / CHECKPOINT).write_text(Checkpoint.by(COORDINATOR, head_of(lines[::-1])).text)
        status, said = refused(party, host, "GetCheckpoint", pb.GetCheckpointRequest())
        assert status is grpc.StatusCode.DATA_LOSS
        assert str(run_dir) not in said


def test_two_federations_are_not_served_as_one(untouched: Path, tmp_path: Path) -> None:
    other = published(tmp_path / "other", Story(overlap=2))
    with pytest.raises(LedgerError, match="forked: keep both"):
        Archive([untouched, other])
    with pytest.raises(LedgerError, match="no ledger was exported"):
        Archive([tmp_path])


def test_a_release_is_served_from_where_it_was_written(party: Party, run_dir: Path, tmp_path: Path) -> None:
    (run_dir / "dataset").rename(tmp_path / "more")
    with party.serving(run_dir, datasets=[tmp_path / "more"]) as host, party.remote(host) as remote:
        assert len(remote.datasets()) == 1


def test_only_released_data_sets_count(untouched: Path) -> None:
    history = Archive([untouched]).history()
    released = [json.loads(line)["event"] for line in history.lines]
    assert set(history.released) == {e["manifest"] for e in released if e["type"] == "release"}
    assert all(isinstance(release, Release) for release in history.released.values())
    assert history.checkpoint == read_checkpoint(untouched / "ledger" / CHECKPOINT)
