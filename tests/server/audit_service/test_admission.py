"""Who is let in, how much they may ask for, and that garbage on the wire harms nobody."""

import random
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import given, settings
from hypothesis import strategies as st

from server.audit.remote import ClientFiles
from server.audit.service import audit_pb2 as pb
from server.audit.service import rpc
from server.audit.service.admission import Admission, NotAdmitted
from server.audit.service.guard import Guard
from server.audit.service.limits import Limits, Meter
from server.ledger.export import read_lines
from shared.errors import UsageError
from shared.ledger.checkpoint import parse_checkpoint
from tests.deploy.certificates_made import SERVER, Authority
from tests.server.audit_service.serving import Party
from tests.server.audit_service.test_service import refused, status_of

ASK = pb.GetCheckpointRequest()


def status_with(host: str, files: ClientFiles | None, authority: Path) -> grpc.StatusCode:
    """Return how a client with these files fares."""
    pair = (files.key.read_bytes(), files.certificate.read_bytes()) if files else (None, None)
    credentials = grpc.ssl_channel_credentials(authority.read_bytes(), *pair)
    with grpc.secure_channel(host, credentials) as channel:
        try:
            rpc.call(channel, "GetCheckpoint", ASK, 10)
        except grpc.RpcError as err:
            return status_of(err)[0]
    return grpc.StatusCode.OK


def test_a_good_certificate_is_let_in(party: Party, host: str) -> None:
    assert status_with(host, party.client(), party.authority.crt) is grpc.StatusCode.OK


def bad_certificate(kind: str, party: Party, folder: Path) -> ClientFiles | None:
    """Return files of a client that must not be let in."""
    made = ClientFiles(folder / "bad.crt", folder / "bad.key", party.authority.crt)
    if kind == "none":
        return None
    if kind == "another authority":
        Authority(folder / "other").issue(folder, "bad")
    elif kind == "another authority of the same name":
        Authority(folder / "other", party.authority.name).issue(folder, "bad")
    elif kind == "expired":
        party.authority.issue(folder, "bad", valid=-timedelta(minutes=5))
    elif kind == "not yet valid":
        party.authority.issue(folder, "bad", valid=timedelta(days=4), begins=timedelta(days=1))
    elif kind == "a server's":
        party.authority.issue(folder, "bad", SERVER)
    return made


@pytest.mark.parametrize(
    "kind",
    [
        "none",
        "another authority",
        "another authority of the same name",
        "expired",
        "not yet valid",
        "a server's",
    ],
)
def test_a_bad_certificate_ends_the_handshake(party: Party, host: str, tmp_path: Path, kind: str) -> None:
    files = bad_certificate(kind, party, tmp_path)
    assert status_with(host, files, party.authority.crt) is grpc.StatusCode.UNAVAILABLE


def test_a_server_of_another_authority_is_not_believed(party: Party, host: str, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    assert status_with(host, party.client(), other.crt) is grpc.StatusCode.UNAVAILABLE


def test_a_certificate_that_was_revoked_is_refused_at_once(untouched: Path, tmp_path: Path) -> None:
    party = Party(tmp_path / "party")
    serial = party.authority.issue(party.folder, "mallory")
    with party.serving(untouched) as host, party.channel(host, "mallory") as channel:
        assert rpc.call(channel, "GetCheckpoint", ASK, 10).checkpoint
        party.authority.revoke(serial)
        with pytest.raises(grpc.RpcError) as caught:
            rpc.call(channel, "GetCheckpoint", ASK, 10)
        assert status_of(caught.value)[0] is grpc.StatusCode.UNAUTHENTICATED
        assert party.client("bob")  # somebody else goes on
        assert status_with(host, party.client("bob"), party.authority.crt) is grpc.StatusCode.OK


def test_a_certificate_that_runs_out_meanwhile_is_refused(party: Party) -> None:
    shown = {"x509_pem_cert": [party.client().certificate.read_bytes()], "ssl_tls_version": [b"TLSv1.3"]}
    admission, now = Admission(), datetime.now(UTC)
    assert "auditor" in admission.client(shown, now).name
    for when in (now + timedelta(days=2), now - timedelta(days=3)):
        with pytest.raises(NotAdmitted, match="expired"):
            admission.client(shown, when)
    with pytest.raises(NotAdmitted, match=r"TLS 1\.3"):
        admission.client(shown | {"ssl_tls_version": [b"TLSv1.2"]})
    with pytest.raises(NotAdmitted, match="certificate is needed"):
        admission.client({"ssl_tls_version": [b"TLSv1.3"]})


def test_a_damaged_list_of_revocations_lets_nobody_in(party: Party, untouched: Path, tmp_path: Path) -> None:
    own = Party(tmp_path / "party")
    with own.serving(untouched) as host:
        own.authority.crl.write_text("damaged")
        assert refused(own, host, "GetCheckpoint", ASK)[0] is grpc.StatusCode.UNAVAILABLE
    with pytest.raises(UsageError, match="revocation list"):
        Admission([own.authority.crl])


def test_a_renewed_certificate_of_the_service_is_shown_to_the_next_client(untouched: Path, tmp_path: Path) -> None:
    party = Party(tmp_path / "party")

    def shown(host: str) -> int:
        name, port = host.split(":")
        context = ssl.create_default_context(cafile=party.authority.crt)
        context.load_cert_chain(party.client().certificate, party.client().key)
        with socket.create_connection((name, int(port))) as raw:
            found = context.wrap_socket(raw, server_hostname=name).getpeercert(binary_form=True)
        assert found is not None
        return x509.load_der_x509_certificate(found).serial_number

    with party.serving(untouched) as host:
        before = shown(host)
        renewed = party.authority.issue(party.folder, "server", SERVER)
        assert shown(host) == renewed != before
        (party.folder / "server.crt").write_text("half of a cert")
        assert shown(host) == renewed


# Limits -----------------------------------------------------------------------------------------------------


def test_requests_a_minute_are_limited_for_each_client_alone(party: Party, untouched: Path) -> None:
    with party.serving(untouched, limits=Limits(per_minute=5, at_once=2)) as host:
        with party.channel(host, "greedy") as channel:
            for _ in range(5):
                rpc.call(channel, "GetCheckpoint", ASK, 10)
            with pytest.raises(grpc.RpcError) as caught:
                rpc.call(channel, "GetCheckpoint", ASK, 10)
        assert status_of(caught.value)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "5 requests a minute" in status_of(caught.value)[1]
        with party.remote(host, "modest") as remote:
            assert remote.checkpoint()[0]


def test_requests_at_once_are_limited_and_counted_out_when_they_end(party: Party, untouched: Path) -> None:
    with party.serving(untouched, limits=Limits(at_once=2)) as host, party.channel(host) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch
        streams = [watch(health_pb2.HealthCheckRequest()) for _ in range(2)]
        assert all(next(stream) for stream in streams)
        with party.channel(host) as another, pytest.raises(grpc.RpcError) as caught:
            rpc.call(another, "GetCheckpoint", ASK, 10)
        assert status_of(caught.value)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
        streams[0].cancel()
        with party.remote(host, patience=10) as remote:  # the service hears of it a little later
            assert remote.checkpoint()[0]


def test_a_meter_earns_by_the_minute_and_never_more_than_a_minutes_worth() -> None:
    now = [0.0]
    meter = Meter(Limits(per_minute=6, at_once=2), clock=lambda: now[0])

    def asks(times: int) -> int:
        answers = [meter.begin("a") for _ in range(times)]
        began = answers.count("")
        for _ in range(began):
            meter.end("a")
        return began

    def one_by_one(times: int) -> int:
        return sum(asks(1) for _ in range(times))

    assert asks(3) == 2
    assert one_by_one(10) == 4
    now[0] = 10.0
    assert one_by_one(10) == 1
    now[0] = 1e6
    assert one_by_one(10) == 6


def test_a_stream_lasts_only_so_long(party: Party, untouched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guard.__init__, "__defaults__", (0.5,))
    with party.serving(untouched) as host, party.channel(host) as channel:
        stream = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        with pytest.raises(grpc.RpcError) as caught:
            list(stream)
        assert status_of(caught.value)[0] is grpc.StatusCode.CANCELLED


def test_fifty_clients_at_once_all_get_everything(party: Party, untouched: Path) -> None:
    data = (untouched / "dataset" / "README.md").read_bytes()
    lines = read_lines(untouched / "ledger")
    for number in range(50):
        party.client(f"client-{number}")

    def work(number: int) -> bool:
        with party.remote(host, f"client-{number}", patience=60) as remote:
            size = parse_checkpoint(remote.checkpoint()[0], "shown").head.size
            told = [line for batch in remote.events(0, size) for line in batch]
            manifest = remote.datasets()[0].manifest
            got = b"".join(piece for piece, _ in remote.download(manifest, "README.md"))
        return told == lines and got == data

    with party.serving(untouched) as host, ThreadPoolExecutor(50) as pool:
        assert all(pool.map(work, range(50)))


# Garbage ----------------------------------------------------------------------------------------------------


def alive(party: Party, host: str) -> bool:
    return status_with(host, party.client(), party.authority.crt) is grpc.StatusCode.OK


@pytest.mark.parametrize("inside", [False, True], ids=["instead of TLS", "inside of TLS"])
def test_garbage_on_the_socket_harms_nobody(party: Party, host: str, inside: bool) -> None:
    rng = random.Random(7)
    name, port = host.split(":")
    context = ssl.create_default_context(cafile=party.authority.crt)
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(party.client().certificate, party.client().key)
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for length in (0, 1, 5, 100, 10_000):
        for start in (b"", preface, preface + bytes(9), b"\x16\x03\x01\x02\x00\x01"):
            with socket.create_connection((name, int(port)), timeout=10) as raw, suppress(OSError):
                connection = context.wrap_socket(raw, server_hostname=name) if inside else raw
                connection.sendall(start + rng.randbytes(length))
                connection.shutdown(socket.SHUT_WR)
    assert alive(party, host)


REFUSALS = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.OUT_OF_RANGE,
}
METHODS = [f"/{rpc.SERVICE.full_name}/{method.name}" for method in rpc.SERVICE.methods]


@settings(max_examples=60, deadline=None)
@given(method=st.sampled_from(METHODS), garbage=st.binary(max_size=300))
def test_garbage_in_the_place_of_a_message_harms_nobody(
    garbage_channel: grpc.Channel, method: str, garbage: bytes
) -> None:
    """Most of it is refused; what happens to be a message is answered as one."""
    status = grpc.StatusCode.OK
    try:
        list(garbage_channel.unary_stream(method, bytes)(garbage, timeout=10))
    except grpc.RpcError as err:
        status = status_of(err)[0]
    assert status in REFUSALS
    assert rpc.call(garbage_channel, "GetCheckpoint", ASK, 10).checkpoint


@pytest.fixture(scope="module")
def garbage_channel(party: Party, host: str) -> Iterator[grpc.Channel]:
    with party.channel(host) as channel:
        yield channel


def test_an_unknown_method_is_unimplemented(garbage_channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        garbage_channel.unary_unary(f"/{rpc.SERVICE.full_name}/Nothing", bytes)(b"", timeout=10)
    assert status_of(caught.value)[0] is grpc.StatusCode.UNIMPLEMENTED
