"""uvicorn behind TLS that follows its files: renewed certificates are shown, revoked peers are cut off.

A change of the certificate, the key or the revocation list opens a new listener on the same socket and closes the
old one; connections live on, save those whose peer's certificate was revoked or has expired.
"""

import asyncio
import logging
import socket
from datetime import UTC, datetime

import h11
import uvicorn
from cryptography import x509
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from deploy.tls import ServerFiles
from shared.errors import UsageError
from shared.files import stamp

HANDSHAKE_SECONDS = 10
HEAD_SECONDS = 10  # from the first byte of a request to the end of its headers
IDLE_SECONDS = 75  # longer than a client keeps a connection, so that it is the client who closes
STOP_SECONDS = 10
MOST_CONNECTIONS = 512
_HEAD_BYTES = 16 * 1024
_CHECKS = 10  # ticks of uvicorn, 0.1 s each, from one look at the files to the next

logger = logging.getLogger(__name__)


def _is_refusal(record: logging.LogRecord) -> bool:
    """Whether a line of uvicorn's access log is of a request that was refused or failed.

    Hospitals ask every few seconds whether there is work: that is no news.
    """
    return not (isinstance(record.args, tuple) and isinstance(record.args[-1], int) and record.args[-1] < 400)


logging.getLogger("uvicorn.access").addFilter(_is_refusal)


class _Connection(H11Protocol):
    """One connection: knows its peer's certificate, and ends when a request's headers do not end in time."""

    peer: x509.Certificate | None = None
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Note the peer's certificate."""
        super().connection_made(transport)
        self.peer = _certificate_of(transport)
        if self.peer:
            logger.info("%s: %s connected", self.client and self.client[0], self.peer.subject.rfc4514_string())
        self._time_head()

    def data_received(self, data: bytes) -> None:
        """Take bytes in."""
        super().data_received(data)
        self._time_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._end_deadline()
        super().connection_lost(exc)

    def holds(self, revoked: frozenset[int]) -> bool:
        """Whether the peer may stay."""
        if self.peer is None:
            return True
        expired = self.peer.not_valid_after_utc < datetime.now(UTC)
        return not expired and self.peer.serial_number not in revoked

    def _time_head(self) -> None:
        """Give a request that has begun without its headers' end a deadline; uvicorn has none."""
        if self.conn.their_state is not h11.IDLE:
            self._end_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Listener(uvicorn.Server):
    """Serves one application at one address, over TLS where it has files for it."""

    def __init__(self, app: ASGIApp, host: str, port: int, files: ServerFiles | None) -> None:
        """Bind the address.

        Args:
            app: what is served.
            host: name or address to listen at.
            port: 0 for any free one.
            files: of TLS; None for plain HTTP, on loopback only.

        Raises:
            UsageError: the address cannot be bound, or a file of TLS does not serve.
        """
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",  # the stricter of uvicorn's two parsers
                loop="asyncio",
                ws="none",
                lifespan="on",
                log_config=None,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=STOP_SECONDS,
                h11_max_incomplete_event_size=_HEAD_BYTES,
            )
        )
        self._files = files
        self._seen = stamp(files.paths) if files else ()
        self._context = files.context() if files else None
        self._revoked = files.revoked() if files else frozenset[int]()
        self._socket = _bound(host, port)
        self.servers: list[asyncio.Server] = []

    @property
    def port(self) -> int:
        """The port that was bound."""
        return int(self._socket.getsockname()[1])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, then listen."""
        await super().startup(sockets=[])
        if not self.should_exit:
            await self._listen()

    async def on_tick(self, counter: int) -> bool:
        """Look at the files once a second."""
        if self._files and counter % _CHECKS == 0:
            await self._follow(self._files)
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening and let go of the address."""
        self._socket.close()
        await super().shutdown(sockets)

    async def _listen(self) -> None:
        listening = await asyncio.get_running_loop().create_server(
            self._connection,
            sock=self._socket.dup(),
            backlog=MOST_CONNECTIONS,
            ssl=self._context,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if self._context else None,
        )
        for old in self.servers:
            old.close()
        self.servers = [listening]

    def _connection(self) -> _Connection:
        return _Connection(self.config, self.server_state, self.lifespan.state)

    async def _follow(self, files: ServerFiles) -> None:
        """Take over changed files; ones that do not serve (yet) leave everything as it is."""
        now = stamp(files.paths)
        if now != self._seen:
            self._seen = now
            try:
                self._context, self._revoked = files.context(), files.revoked()
            except UsageError as err:
                logger.error("%s; the files read before stay in use", err)
            else:
                await self._listen()
                logger.info("certificates re-read, %d revoked", len(self._revoked))
        _part(self.server_state, self._revoked)


def _part(state: ServerState, revoked: frozenset[int]) -> None:
    """Cut off the peers whose certificates no longer hold."""
    for connection in list(state.connections):
        if isinstance(connection, _Connection) and not connection.holds(revoked):
            logger.warning("a certificate no longer holds: connection closed")
            connection.transport.abort()


def _certificate_of(transport: asyncio.BaseTransport) -> x509.Certificate | None:
    session = transport.get_extra_info("ssl_object")
    shown = session.getpeercert(binary_form=True) if session else None
    return x509.load_der_x509_certificate(shown) if shown else None


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as err:
        raise UsageError(f"{host}:{port}: cannot listen there ({err.strerror}); choose another port") from err
    listening.setblocking(False)
    return listening
