"""The portal's web application: its addresses, and what becomes of errors."""

from collections.abc import Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from server.portal import approval_pages, comparing, dataset_pages, pages
from server.portal.books import Books
from server.portal.guard import LOOPBACK, Guard
from server.portal.portal import Portal, message, portal_of
from server.portal.rendering import FILES
from shared.errors import WillisError

_STYLE = {  # address -> file, type; the last for pages that name no icon, as the report does
    "/portal.css": ("portal.css", "text/css; charset=utf-8"),
    "/portal.svg": ("portal.svg", "image/svg+xml"),
    "/favicon.ico": ("portal.svg", "image/svg+xml"),
}
_WORDS = {
    404: "There is no such page. The overview leads to all there are.",
    405: "This page cannot be asked like that.",
}


class _Place(Convertor[int]):
    """A place in a list, as an address has it: Python refuses to read whole numbers of thousands of digits."""

    regex = "[0-9]{1,9}"

    def convert(self, value: str) -> int:
        """Return the number."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Return the number as an address has it."""
        return str(value)


register_url_convertor("place", _Place())


def portal_app(runs: Sequence[Path], datasets: Sequence[Path] = (), hosts: Sequence[str] = LOOPBACK) -> ASGIApp:
    """Return the application that shows `runs`, and further folders `datasets`, to visitors of `hosts`."""
    app = Starlette(
        routes=_routes(), exception_handlers={HTTPException: _http, WillisError: _willis, Exception: _other}
    )
    app.state.portal = Portal(runs, datasets)
    return Guard(app, hosts)


def _routes() -> list[Route]:
    federation = "/federation/{federation}"
    return [
        Route("/", pages.front),
        *(Route(address, _style) for address in _STYLE),
        Route(federation + "/budget", pages.budget_page),
        Route(federation + "/budget/{place:place}", pages.site_page),
        Route(federation + "/ledger", pages.ledger_page),
        Route(federation + "/ledger/{index:place}", pages.entry_page),
        *(Route(federation + "/ledger/{index:place}/" + name, pages.entry_file) for name in pages.ENTRY_FILES),
        Route(federation + "/consistency", comparing.compare_page, methods=["GET", "POST"]),
        *(Route(f"{federation}/{name}", pages.ledger_file) for name in pages.LEDGER_FILES),
        *(Route("/run/{run}/" + name, dataset_pages.report) for name in dataset_pages.REPORTS),
        Route("/datasets", dataset_pages.list_page),
        Route("/dataset/{dataset}", dataset_pages.set_page),
        Route("/dataset/{dataset}/verify", dataset_pages.verify_page),
        Route("/dataset/{dataset}/file/{name:path}", dataset_pages.file),
        Route("/approvals", approval_pages.queue_page),
        Route("/approvals/{dataset}", approval_pages.decide_page, methods=["GET", "POST"]),
    ]


def _style(request: Request) -> Response:
    name, kind = _STYLE[request.url.path]
    return FileResponse(FILES / name, media_type=kind, headers={"cache-control": "max-age=300"})


def _http(request: Request, err: Exception) -> Response:
    assert isinstance(err, HTTPException)
    usual = err.detail in ("Not Found", "Method Not Allowed")
    words = _WORDS.get(err.status_code, err.detail) if usual else err.detail
    title = "Not found" if err.status_code == 404 else "Not done"
    return message(request, title, words, err.status_code, _nearest(request))


def _willis(request: Request, err: Exception) -> Response:
    words = f"{str(err)[:1].upper()}{str(err)[1:]}."
    return message(request, "It could not be read", words, 503, _nearest(request))


def _nearest(request: Request) -> Books | None:
    """Return the federation whose menu an error page shows: the address's, or the only one."""
    reading = portal_of(request).read()
    return reading.of(str(request.path_params.get("federation", ""))) or reading.only


def _other(request: Request, err: Exception) -> Response:
    words = "The portal met an error that nobody foresaw. Its log, where it was started, says more."
    return message(request, "Something went wrong", words, 500)
