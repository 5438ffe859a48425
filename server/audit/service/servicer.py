"""The service's methods: requests checked, answers read from the archive, refusals with status and sentence."""

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import NoReturn

import grpc

from server.audit.service import audit_pb2 as pb
from server.audit.service.archive import Archive
from server.audit.service.history import History
from shared.errors import LedgerError

_log = logging.getLogger(__name__)

BATCH_BYTES = 256 * 1024  # of lines in one message, or one line that is longer
CHUNK_BYTES = 256 * 1024  # of a file in one message
MOST_BYTES = 16 * 1024**2  # of any message; a report of many sites is the largest


class Servicer:
    """Answers from an archive; names of methods are those of `audit.proto`."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def GetCheckpoint(
        self, request: pb.GetCheckpointRequest, context: grpc.ServicerContext
    ) -> pb.GetCheckpointResponse:
        """Answer with the newest checkpoint."""
        history = self._history(context)
        assert history.checkpoint is not None  # an archive has one from the start
        witnessed = history.witnessed.text if history.witnessed else ""
        return pb.GetCheckpointResponse(checkpoint=history.checkpoint.text, witnessed=witnessed)

    def StreamEvents(
        self, request: pb.StreamEventsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.StreamEventsResponse]:
        """Answer with lines, some in a message."""
        lines = self._history(context).lines
        if not request.first <= request.size <= len(lines):
            _out_of_range(context, f"entries {request.first} to {request.size} of a ledger of {len(lines)}")
        first = request.first
        while first < request.size:
            batch = _batch(lines, first, request.size)
            yield pb.StreamEventsResponse(first=first, lines=batch)
            first += len(batch)

    def GetInclusionProof(
        self, request: pb.GetInclusionProofRequest, context: grpc.ServicerContext
    ) -> pb.GetInclusionProofResponse:
        """Answer with a proof that an entry is in the ledger."""
        tree = self._history(context).tree
        hashes = _proof(context, lambda: tree.inclusion(request.index, request.size))
        return pb.GetInclusionProofResponse(hashes=hashes)

    def GetConsistencyProof(
        self, request: pb.GetConsistencyProofRequest, context: grpc.ServicerContext
    ) -> pb.GetConsistencyProofResponse:
        """Answer with a proof that the ledger only grew."""
        tree = self._history(context).tree
        hashes = _proof(context, lambda: tree.consistency(request.old_size, request.new_size))
        return pb.GetConsistencyProofResponse(hashes=hashes)

    def GetReport(self, request: pb.GetReportRequest, context: grpc.ServicerContext) -> pb.GetReportResponse:
        """Answer with a run's report."""
        self._history(context)
        found = self._archive.report(request.run)
        if found is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no signed report of such a run is here")
        return pb.GetReportResponse(report=found.data, signature=found.signature, checkpoint=found.checkpoint)

    def ListDatasets(
        self, request: pb.ListDatasetsRequest, context: grpc.ServicerContext
    ) -> pb.ListDatasetsResponse:
        """Answer with the released data sets."""
        self._history(context)
        listed = [
            pb.Dataset(
                manifest=manifest,
                run=at_hand.release.run,
                cases=at_hand.release.cases,
                files=len(at_hand.files),
                size=at_hand.size,
            )
            for manifest, at_hand in sorted(self._archive.datasets().items())
        ]
        return pb.ListDatasetsResponse(datasets=listed)

    def DownloadDataset(
        self, request: pb.DownloadDatasetRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.DownloadDatasetResponse]:
        """Answer with a file, piece by piece; the first message may be empty, but tells the size."""
        self._history(context)
        at_hand = self._archive.datasets().get(request.manifest)
        if at_hand is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no released data set of this manifest is here")
        file = at_hand.open(request.file)
        if file is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "the data set has no such file")
        with file:
            size = file.seek(0, 2)
            if request.offset > size:
                _out_of_range(context, f"offset {request.offset} of a file of {size} bytes")
            file.seek(request.offset)
            yield pb.DownloadDatasetResponse(data=file.read(CHUNK_BYTES), size=size)
            while data := file.read(CHUNK_BYTES):
                yield pb.DownloadDatasetResponse(data=data)

    def _history(self, context: grpc.ServicerContext) -> History:
        try:
            return self._archive.history()
        except LedgerError as err:  # names files of the centre, which are no client's business
            _log.error("the ledger cannot be served: %s", err)
            context.abort(
                grpc.StatusCode.DATA_LOSS,
                "the coordinator's own copies of the ledger are damaged or contradict each other; ask the centre",
            )


def _batch(lines: Sequence[bytes], first: int, end: int) -> list[bytes]:
    """Return the lines from `first` on that fit one message; at least one."""
    batch, room = [lines[first]], BATCH_BYTES - len(lines[first])
    for line in lines[first + 1 : end]:
        room -= len(line)
        if room < 0:
            break
        batch.append(line)
    return batch


def _proof(context: grpc.ServicerContext, make: Callable[[], list[bytes]]) -> list[bytes]:
    try:
        return make()
    except IndexError as err:
        _out_of_range(context, str(err))


def _out_of_range(context: grpc.ServicerContext, why: str) -> NoReturn:
    context.abort(grpc.StatusCode.OUT_OF_RANGE, why)
