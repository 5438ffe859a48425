"""What may pass: exact paths, bodies of bounded size that arrive in bounded time, refusals that say nothing.

The same rules are written for nginx in `deploy.nginx`, and both meet the same tests.
"""

import asyncio
import logging
import re

import httpx
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 16 * 1024**2  # of a request's body; Flower sends arrays in pieces of 5 MiB
BODY_SECONDS = 30  # from one piece of a body to the next
REQUEST_SECONDS = 300  # of a request and its answer altogether
_PATH = re.compile(rb"(/[a-z0-9-]+)+")  # nothing to decode, to resolve or to normalise

logger = logging.getLogger(__name__)


class Gate:
    """ASGI middleware: lets a request in when its form leaves no room for two readings, and bounds its body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if wrong := _objection(scope):
            await _empty(wrong)(scope, receive, send)
            return
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._app(scope, _bounded(receive), send)
        except (TimeoutError, ClientDisconnect, httpx.TransportError) as err:
            logger.warning("%s: broken off: %s", scope["path"], type(err).__name__)


async def refuse(request: Request, error: Exception) -> Response:
    """Answer with a bare status; what exists is not told from what does not."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _empty(403 if status in (404, 405) else status)


def _empty(status: int) -> Response:
    return Response(status_code=status, headers={"connection": "close"})


def _objection(scope: Scope) -> int:
    """Return the status of a refusal, or 0."""
    if not _PATH.fullmatch(scope["raw_path"]) or scope["query_string"]:
        return 403
    names = [name for name, _ in scope["headers"]]
    if b"content-length" in names and b"transfer-encoding" in names:
        return 400  # RFC 9112, 6.3: a sign of request smuggling
    length = next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
    return 413 if length > MOST_BYTES else 0


def _bounded(receive: Receive) -> Receive:
    """Return `receive` with a limit to what it yields in all, and to how long it waits."""
    taken, more = 0, True

    async def bounded() -> Message:
        nonlocal taken, more
        message = await _soon(receive) if more else await receive()  # then it waits for the peer to leave
        taken += len(message.get("body", b""))
        more = message.get("more_body", False)
        if taken > MOST_BYTES:
            raise HTTPException(413)
        return message

    return bounded


async def _soon(receive: Receive) -> Message:
    try:
        return await asyncio.wait_for(receive(), BODY_SECONDS)
    except TimeoutError as err:
        raise HTTPException(503) from err  # Flower asks again after this one, and drops its message after 408
