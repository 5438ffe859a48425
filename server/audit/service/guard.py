"""What stands before every method, health and reflection too: admission, limits, a deadline, a log line."""

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import grpc

from server.audit.service.admission import Admission, Connection, NotAdmitted
from server.audit.service.limits import Meter
from shared.errors import UsageError

STREAM_SECONDS = 900.0  # that a stream may last; whoever has not got all by then goes on from where it is

_log = logging.getLogger(__name__)
_KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


class Guard(grpc.ServerInterceptor):
    """Lets a request through, or ends it with a status."""

    def __init__(self, admission: Admission, meter: Meter, stream_seconds: float = STREAM_SECONDS) -> None:
        self._admission = admission
        self._meter = meter
        self._seconds = stream_seconds

    def intercept_service(
        self,
        continuation: "Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None]",
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Return the method's handler with the guard before it."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        kind = next(kind for kind in _KINDS if getattr(handler, kind))
        behaviour, method = getattr(handler, kind), handler_call_details.method

        def answer(request: Any, context: grpc.ServicerContext) -> Any:  # noqa: ANN401
            self._admit(method, context)
            return behaviour(request, context)

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:  # noqa: ANN401
            self._admit(method, context, self._seconds)
            yield from behaviour(request, context)

        guarded = stream if handler.response_streaming else answer
        return handler._replace(**{kind: guarded})  # type: ignore[attr-defined,no-any-return]  # a named tuple

    def _admit(self, method: str, context: grpc.ServicerContext, seconds: float | None = None) -> None:
        """Count the request in until it ends, or end it now."""
        try:
            client = self._admission.client(cast(Connection, context.auth_context()))
        except NotAdmitted as err:
            _log.warning("%s refused to %s: %s", method, context.peer(), err)
            context.abort(grpc.StatusCode.UNAUTHENTICATED, str(err))
        except UsageError as err:  # names a file of the centre
            _log.error("nobody is let in: %s", err)
            context.abort(grpc.StatusCode.UNAVAILABLE, "the service cannot tell who was revoked; ask the centre")
        if why := self._meter.begin(client.key):
            _log.warning("%s refused to %s: %s", method, client.name, why)
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, why)
        _log.info("%s for %s", method, client.name)
        timer = threading.Timer(seconds, context.cancel) if seconds else None

        def end() -> None:
            self._meter.end(client.key)
            if timer:
                timer.cancel()

        if not context.add_callback(end):  # it was over before it began
            end()
            context.abort(grpc.StatusCode.CANCELLED, "the client has gone")
        if timer:
            timer.daemon = True
            timer.start()
