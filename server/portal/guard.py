"""What every request must pass and every answer carries, whatever the page: pure rules, and one ASGI wrapper.

- The Host header must be a name of this portal. A page elsewhere whose name is made to point at 127.0.0.1 (DNS
  rebinding) would otherwise read the portal through its visitor's browser.
- What changes something must not come from another site's page: the rule of Go's CrossOriginProtection (2025),
  which needs no token. A request without the headers of browsers comes from no page.
- Nothing runs, nothing frames, nothing is guessed: content security policy, nosniff, frames denied.
"""

from collections.abc import Collection, Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
PAGE = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
FILE = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; frame-ancestors 'none'; "
    "sandbox allow-same-origin"  # no script may run, so nothing can use that origin
)
# The viewer is one page with script and images inside it. Its sandbox has no origin, so it cannot read the portal.
VIEWER = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts"
)
_ALWAYS = {
    "content-security-policy": PAGE,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


class Guard:
    """Wraps the whole application, so that also its answers to errors carry the headers."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        """Let through what names one of `hosts` (no port; IPv6 in brackets)."""
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _ALWAYS.items():
                    headers.setdefault(name, value)
            await send(message)

        if is_known_host(Headers(scope=scope).getlist("host"), self._hosts):
            await self._app(scope, receive, with_headers)
        else:
            words = (
                "This portal does not go by that name. Open it by the address it printed when it was started.\n"
            )
            await PlainTextResponse(words, status_code=421)(scope, receive, with_headers)


def is_known_host(values: list[str], hosts: Collection[str]) -> bool:
    """Whether a request names exactly one host, and that is one of `hosts`; the port does not matter.

    >>> is_known_host(["LOCALHOST:8123"], LOOPBACK), is_known_host(["evil.example"], LOOPBACK)
    (True, False)
    """
    if len(values) != 1:
        return False
    host = values[0].lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name in hosts


def is_own(headers: Mapping[str, str]) -> bool:
    """Whether a request that changes something comes from the portal's own pages, or from no page at all."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site in ("same-origin", "none")
    return origin is None or origin.partition("://")[2] == headers.get("host")
