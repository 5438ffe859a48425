"""Renewal of hospitals' certificates over the network: one small service behind the front.

The front lets in only who has a certificate; the request inside is signed all the same, so that a hospital cannot
ask for another. A request that is replayed only gets a certificate for a key that who replays it does not have.
"""

import logging
from datetime import UTC, datetime, timedelta

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from deploy.coordinator.approval import renew
from deploy.coordinator.home import CoordinatorHome
from deploy.requests import MOST_BYTES, RENEWAL_PATH, Answer, Request
from shared.certificates import present
from shared.errors import ProtocolError, WillisError

_log = logging.getLogger(__name__)
FRESH = timedelta(minutes=10)


def answer(home: CoordinatorHome, body: bytes, now: datetime) -> Answer:
    """Answer a request for renewal.

    Raises:
        ProtocolError: it was changed, is too old or from the future, or `approval.renew` refuses it.
        UsageError: something at the centre is missing or damaged.
    """
    request = Request.read(body, "the request")
    made = datetime.fromtimestamp((request.time or 0) / 1000, UTC)
    if abs(now - made) > FRESH:
        raise ProtocolError(
            f"the request was made at {made:%Y-%m-%d %H:%M} UTC and came at {now:%Y-%m-%d %H:%M} by the centre's "
            "clock; set the hospital's clock"
        )
    return renew(home, request, now)


def renewal_route(home: CoordinatorHome) -> Route:
    """Return the route that renews certificates; a refusal is one sentence."""

    async def serve(http: HttpRequest) -> Response:
        body = b""
        async for chunk in http.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return PlainTextResponse("too large", status_code=413)
        try:
            renewed = await run_in_threadpool(answer, home, body, present())
        except ProtocolError as err:
            return PlainTextResponse(str(err), status_code=403)
        except WillisError as err:  # names files of the centre, which are no hospital's business
            _log.error("a certificate could not be renewed: %s", err)
            return PlainTextResponse("the centre cannot renew now", status_code=500)
        return Response(renewed.file(), media_type="application/json")

    return Route(RENEWAL_PATH, serve, methods=["POST"])
