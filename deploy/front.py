"""The two small reverse proxies between a hospital and the centre: the front there, the sidecar here.

Both let through only what Flower's nodes ask of the SuperLink, the centre's clock, and the renewal of
certificates. The SuperLink's other interfaces stay out of reach: its Control API runs code for anyone.
"""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.gate import Gate, refuse
from deploy.tls import ClientFiles
from deploy.upstream import Upstream

FLEET = "/v1/fleet/"
HEALTH = "/v1/willis/health"


def front_app(upstream: str, ca: Path, renewal: Route | None = None) -> Starlette:
    """Return the centre's front.

    Args:
        upstream: `https://127.0.0.1:port` of the SuperLink.
        ca: authority of the SuperLink's certificate.
        renewal: renews the hospitals' certificates.

    Raises:
        UsageError: the authority cannot be read.
    """
    link = Upstream(upstream, ClientFiles(ca))
    return _app([_fleet(link), *_own(renewal)], link)


def service_app(renewal: Route | None = None) -> Starlette:
    """Return what the front answers by itself, for another proxy in its place; to be served on loopback only."""
    return _app(_own(renewal))


def sidecar_app(upstream: str, files: ClientFiles, proxy: str = "") -> Starlette:
    """Return the hospital's sidecar.

    Args:
        upstream: `https://host:port` of the centre's front.
        files: the centre's authority and the hospital's certificate.
        proxy: `http://host:port` of the hospital's way out, if it needs one.

    Raises:
        UsageError: a file cannot be read.
    """
    link = Upstream(upstream, files, proxy)
    return _app([_fleet(link), Route(HEALTH, link.forward, methods=["GET"])], link)


def _own(renewal: Route | None) -> list[Route]:
    health = Route(HEALTH, _health, methods=["GET"])
    return [health, renewal] if renewal else [health]


def _fleet(link: Upstream) -> Route:
    return Route(FLEET + "{call}", link.forward, methods=["POST"])


async def _health(_: Request) -> Response:
    return JSONResponse({"time_ms": time.time_ns() // 10**6})


def _app(routes: Sequence[Route], link: Upstream | None = None) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        if link:
            await link.close()

    return Starlette(
        routes=routes,
        middleware=[Middleware(Gate)],
        exception_handlers={HTTPException: refuse},
        lifespan=lifespan,
    )
