"""The audit service as its clients see it: typed answers, tried again while the service is away.

Nothing is believed here: whoever calls checks signatures and proofs. What a stream had delivered before it broke
is not asked for again.
"""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message

from server.audit.service import audit_pb2 as pb
from server.audit.service import rpc
from server.audit.service.servicer import MOST_BYTES
from server.audit.service.tls import check_pair, read_authority
from shared.certificates import certificate_at
from shared.errors import UsageError, WillisError
from shared.printable import printable

_SAID = 300  # characters of what a service says in an error
_SECONDS = 30.0  # for an answer that is one message
_FIRST_WAIT, _LONGEST_WAIT = 0.2, 15.0  # seconds before it is tried again
_PASSING = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
_OPTIONS: list[tuple[str, int]] = [
    ("grpc.max_receive_message_length", MOST_BYTES),
    ("grpc.keepalive_time_ms", 20_000),  # a peer that has gone without a word is noticed
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]


class ServiceError(WillisError):
    """The audit service refuses, or answers what makes no sense."""

    code = "service"


class ServiceAway(ServiceError):
    """The audit service could not be reached for as long as was waited."""


class NotFound(ServiceError):
    """The service has nothing of that name."""


class OutOfRange(ServiceError):
    """What was asked for is beyond the end."""


_ERRORS = {grpc.StatusCode.NOT_FOUND: NotFound, grpc.StatusCode.OUT_OF_RANGE: OutOfRange}


@dataclass(frozen=True)
class ClientFiles:
    """The auditor's certificate and key, and the authority that the service has to be of (PEM)."""

    certificate: Path
    key: Path
    authority: Path

    def credentials(self) -> grpc.ChannelCredentials:
        """Return credentials for a channel.

        Raises:
            UsageError: a file is missing or damaged, does not belong to the others, or has expired.
        """
        check_pair(self.certificate, self.key)
        authority = read_authority(self.authority)
        ends, now = certificate_at(self.certificate).not_valid_after_utc, datetime.now(UTC)
        if ends < now:
            raise UsageError(f"{self.certificate}: expired on {ends:%Y-%m-%d}; ask the centre for another")
        return grpc.ssl_channel_credentials(authority, self.key.read_bytes(), self.certificate.read_bytes())


class Remote:
    """One audit service."""

    def __init__(self, host: str, files: ClientFiles, patience: float) -> None:
        """Talk to the service at `host` (host:port); wait `patience` seconds for it while it is away.

        Raises:
            UsageError: as `ClientFiles.credentials`.
        """
        self.host = host
        self._patience = patience
        self._channel = grpc.secure_channel(host, files.credentials(), _OPTIONS)

    def close(self) -> None:
        """End all connections."""
        self._channel.close()

    def checkpoint(self) -> tuple[str, str]:
        """Return the newest checkpoint, and the last one that hospitals cosigned ("": none), unchecked."""
        answer: pb.GetCheckpointResponse = self._ask("GetCheckpoint", pb.GetCheckpointRequest())
        return answer.checkpoint, answer.witnessed

    def consistency(self, old: int, new: int) -> Sequence[bytes]:
        """Return the proof that the ledger grew from one size to the other, unchecked."""
        request = pb.GetConsistencyProofRequest(old_size=old, new_size=new)
        answer: pb.GetConsistencyProofResponse = self._ask("GetConsistencyProof", request)
        return answer.hashes

    def report(self, run: str) -> pb.GetReportResponse | None:
        """Return the report of a run, unchecked; None where there is none."""
        try:
            answer: pb.GetReportResponse = self._ask("GetReport", pb.GetReportRequest(run=run))
        except NotFound:
            return None
        return answer

    def datasets(self) -> Sequence[pb.Dataset]:
        """Return what the service says of its data sets."""
        answer: pb.ListDatasetsResponse = self._ask("ListDatasets", pb.ListDatasetsRequest())
        return answer.datasets

    def events(self, first: int, size: int, within: float | None = None) -> Iterator[Sequence[bytes]]:
        """Yield the lines of entries `first` to `size` - 1, some at a time, unchecked.

        `within` are the seconds that all of it may take, where a service that stalls must not hold up others.
        """
        wait, begun = _Wait(self.host, self._patience), time.monotonic()
        while first < size:
            left = None if within is None else max(0.0, begun + within - time.monotonic())
            request = pb.StreamEventsRequest(first=first, size=size)
            try:
                for message in self._stream("StreamEvents", request, left):
                    if message.first != first or not 0 < len(message.lines) <= size - first:
                        break
                    wait.over()
                    yield message.lines
                    first += len(message.lines)
            except grpc.RpcError as err:
                if left == 0:
                    raise ServiceAway(f"{self.host}: did not send its entries within {within:g} s") from err
                wait.after(err)
            else:
                if first < size:
                    raise ServiceError(f"{self.host}: sends other entries than asked for; tell the centre")

    def download(self, manifest: str, file: str, offset: int = 0) -> Iterator[tuple[bytes, int]]:
        """Yield pieces of a file from `offset` on, each with the size of the whole file, unchecked.

        Raises:
            NotFound: the service has no such file.
        """
        wait, size = _Wait(self.host, self._patience), -1
        while offset != size:
            try:
                request = pb.DownloadDatasetRequest(manifest=manifest, file=file, offset=offset)
                for number, message in enumerate(self._stream("DownloadDataset", request)):
                    size = message.size if number == 0 else size
                    if not message.data and (number or offset != size):
                        break  # without end, if it were waited for; the first tells the size of an empty file
                    offset += len(message.data)
                    if offset > size:
                        break
                    wait.over()
                    yield message.data, size
            except grpc.RpcError as err:
                wait.after(err)
            else:
                if offset != size:
                    raise ServiceError(f"{self.host}: {file} is not of the size it told; tell the centre")

    def _stream(self, name: str, request: Message, seconds: float | None = None) -> Iterator[Any]:
        answers = rpc.call(self._channel, name, request, seconds)
        try:
            yield from answers
        finally:
            answers.cancel()  # where whoever reads stops before the end

    def _ask(self, name: str, request: Message) -> Any:  # noqa: ANN401  # the answer that belongs to the name
        wait = _Wait(self.host, self._patience)
        while True:
            try:
                return rpc.call(self._channel, name, request, _SECONDS)
            except grpc.RpcError as err:
                wait.after(err)


@contextmanager
def remote(host: str, files: ClientFiles, patience: float) -> Iterator[Remote]:
    """Yield the service at `host` (see `Remote`), and end all connections afterwards."""
    service = Remote(host, files, patience)
    try:
        yield service
    finally:
        service.close()


class _Wait:
    """Waits longer and longer between tries, until patience ends; anew after each success."""

    def __init__(self, host: str, patience: float) -> None:
        self._host = host
        self._patience = patience
        self.over()

    def over(self) -> None:
        """Note that the service answered."""
        self._until = time.monotonic() + self._patience
        self._next = _FIRST_WAIT

    def after(self, error: grpc.RpcError) -> None:
        """Wait before another try.

        Raises:
            ServiceError: another try would not help, or patience has ended.
        """
        assert isinstance(error, grpc.Call)
        status, said = error.code(), printable(error.details() or "")[:_SAID]
        if status not in _PASSING:
            raise _ERRORS.get(status, ServiceError)(
                f"{self._host}: {status.name.lower().replace('_', ' ')}: {said}"
            ) from error
        if time.monotonic() + self._next > self._until:
            raise ServiceAway(
                f"{self._host}: not reached ({said}); is this the address, does the service run, and does it know "
                "the authority of this certificate?"
            ) from error
        time.sleep(self._next * random.uniform(0.5, 1))
        self._next = min(2 * self._next, _LONGEST_WAIT)
