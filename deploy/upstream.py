"""The one server requests are passed on to: over TLS, verified by its authority, with few headers."""

import asyncio
import logging
from collections.abc import AsyncIterator
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from deploy.tls import ClientFiles
from shared.errors import UsageError
from shared.files import stamp

# What Flower 1.41 reads: the kind of message, the node's signed time, the versions of both sides.
PASSED = (
    "content-type",
    "content-length",
    "accept",
    "flwr-public-key",
    "flwr-timestamp",
    "flwr-signature",
    "flwr-package-name",
    "flwr-package-version",
    "flwr-component-name",
)
ANSWERED = ("content-type", "content-length", "flwr-version-incompatibility-message")
CONNECT_SECONDS = 5
ANSWER_SECONDS = 60
IDLE_SECONDS = 4  # less than the five of Flower's listener, so that no request meets a closing connection
MOST_CONNECTIONS = 64
_RETIRED_SECONDS = 300  # how long requests under way may still use what was replaced

logger = logging.getLogger(__name__)
logging.getLogger("httpx").setLevel(logging.WARNING)  # it would log every request a second time


class Upstream:
    """A server, the certificates to meet it with, and connections that are kept for the next request."""

    def __init__(self, url: str, files: ClientFiles, proxy: str = "") -> None:
        """Prepare connections; none is made yet.

        Args:
            url: `https://host:port`.
            files: of TLS; they are re-read when they change.
            proxy: `http://host:port` through which it is reached, if it is.

        Raises:
            UsageError: a file of TLS does not serve.
        """
        self._url, self._files, self._proxy = url, files, proxy
        self._seen = stamp(files.paths)
        self._client = self._connect()

    async def forward(self, request: Request) -> Response:
        """Pass a request on and its answer back, both piece by piece.

        Raises:
            HTTPException: 502 the server cannot be reached or believed, or answers with a redirection; 504 it
                does not answer.
        """
        answer = await self._send(request)
        if answer.is_redirect:  # Flower's client would follow it, with its signature
            await answer.aclose()
            raise HTTPException(502)
        headers = {name: answer.headers[name] for name in ANSWERED if name in answer.headers}
        return StreamingResponse(_pieces(answer), answer.status_code, headers)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def _send(self, request: Request) -> httpx.Response:
        self._follow()
        headers = {name: request.headers[name] for name in PASSED if name in request.headers}
        has_body = "content-length" in headers or "transfer-encoding" in request.headers
        passed = self._client.build_request(
            request.method,
            self._url + request.scope["path"],  # not `request.url`, into which Host is read
            headers=headers | {"accept-encoding": "identity", "user-agent": "willis"},
            content=request.stream() if has_body else None,
        )
        try:
            return await self._client.send(passed, stream=True)
        except httpx.ReadTimeout as err:
            logger.warning("%s: no answer in %d s", self._url, ANSWER_SECONDS)
            raise HTTPException(504) from err
        except httpx.HTTPError as err:
            logger.warning("%s: %s %s", self._url, type(err).__name__, err)
            raise HTTPException(502) from err

    def _follow(self) -> None:
        """Take over changed files; ones that do not serve (yet) leave everything as it is."""
        now = stamp(self._files.paths)
        if now == self._seen:
            return
        self._seen = now
        try:
            fresh = self._connect()
        except UsageError as err:
            logger.error("%s; the files read before stay in use", err)
            return
        loop, retired = asyncio.get_running_loop(), self._client
        loop.call_later(_RETIRED_SECONDS, lambda: loop.create_task(retired.aclose()))
        self._client = fresh

    def _connect(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=self._files.context(),
            proxy=self._proxy or None,
            cookies=CookieJar(
                DefaultCookiePolicy(allowed_domains=())
            ),  # else one peer's would be sent with another's
            trust_env=False,  # the settings file is the one place that names a proxy
            follow_redirects=False,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=MOST_CONNECTIONS, keepalive_expiry=IDLE_SECONDS),
        )


async def _pieces(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()
