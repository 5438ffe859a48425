"""The service as a gRPC server: methods, health, reflection, limits; it ends gracefully."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from server.audit.service import rpc
from server.audit.service.admission import Admission
from server.audit.service.archive import Archive
from server.audit.service.guard import Guard
from server.audit.service.limits import Limits, Meter
from server.audit.service.servicer import MOST_BYTES, Servicer
from server.audit.service.tls import ServerFiles
from shared.errors import UsageError

WORKERS = 64  # requests at once of all clients; a stream takes one as long as it lasts
GRACE_SECONDS = 10.0  # that open streams have to end when the service is stopped
_REQUEST_BYTES = 16 * 1024
_MINUTE = 60_000  # ms

_OPTIONS: list[tuple[str, int]] = [
    ("grpc.so_reuseport", 0),  # or a second server could share the port, unseen
    ("grpc.max_receive_message_length", _REQUEST_BYTES),
    ("grpc.max_send_message_length", MOST_BYTES),
    ("grpc.max_metadata_size", _REQUEST_BYTES),
    ("grpc.absolute_max_metadata_size", _REQUEST_BYTES),
    ("grpc.max_concurrent_streams", 16),  # of one connection
    ("grpc.server_handshake_timeout_ms", 10_000),
    ("grpc.keepalive_time_ms", _MINUTE),
    ("grpc.keepalive_timeout_ms", _MINUTE // 3),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.max_connection_idle_ms", 10 * _MINUTE),
    ("grpc.max_connection_age_ms", 60 * _MINUTE),
    ("grpc.max_connection_age_grace_ms", 15 * _MINUTE),
]


@dataclass(frozen=True)
class Service:
    """What is served, where, and to whom."""

    archive: Archive
    listen: str  # host:port; port 0 for any
    files: ServerFiles
    revocations: Sequence[Path] = ()
    limits: Limits = field(default_factory=Limits)


class AuditServer:
    """A running service."""

    def __init__(self, service: Service) -> None:
        """Start to serve.

        Raises:
            UsageError: a file does not serve, or the address cannot be bound.
        """
        guard = Guard(Admission(service.revocations), Meter(service.limits))
        credentials = service.files.credentials()
        self._server = grpc.server(
            ThreadPoolExecutor(WORKERS, "audit"),
            interceptors=[guard],
            options=_OPTIONS,
            maximum_concurrent_rpcs=WORKERS,
        )
        self._health = health.HealthServicer()
        names = (rpc.SERVICE.full_name, health.SERVICE_NAME, reflection.SERVICE_NAME)
        self._server.add_generic_rpc_handlers((rpc.handlers(Servicer(service.archive)),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(names, self._server)
        try:
            self.port = self._server.add_secure_port(service.listen, credentials)
        except RuntimeError as err:
            raise UsageError(f"{service.listen}: cannot be listened at; name another --listen ({err})") from err
        for name in ("", rpc.SERVICE.full_name):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        self._server.start()

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """Take no more requests, and end the open ones after `grace` seconds."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace).wait()

    def wait(self) -> None:
        """Wait until somebody stops it."""
        self._server.wait_for_termination()
