"""The pages that only show: overview, budgets, ledger. Each reads, asks a view, and fills a template."""

from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from server.ledger.export import CHECKPOINT, LINES, WITNESSED, jsonl
from server.portal.books import Books
from server.portal.budgets import budgets, untouched, whole
from server.portal.explorer import Filter, entry, rows, types
from server.portal.overview import overview
from server.portal.portal import books_of, number, page, portal_of
from server.portal.queue import Stand, candidates
from server.portal.rendering import picture

ENTRY_FILES = ("entry.json", "entry.tlog-proof")
LEDGER_FILES = (LINES, CHECKPOINT, WITNESSED)


def front(request: Request) -> Response:
    """Show every federation."""
    portal = portal_of(request)
    reading = portal.read()
    waiting = [one.data for one in candidates(portal.sets(reading)) if one.stand is Stand.WAITING]
    return page(
        request,
        "overview.html",
        "Overview",
        "Overview",
        reading.only,
        shown=[(books, overview(books)) for books in reading.books],
        unread=[{"name": one.name, "why": portal.plain(one.why)} for one in reading.unread],
        waiting={books.id: [data for data in waiting if data.books is books] for books in reading.books},
    )


def budget_page(request: Request) -> Response:
    """Show what is spent and left, of all sites."""
    books = _books(request)
    known = budgets(books.ledger)
    return page(
        request,
        "budget.html",
        "Privacy budget",
        "Budget",
        books,
        whole=whole(books.ledger),
        budgets=known,
        picture=picture(known),
        untouched=untouched(books.ledger),
    )


def site_page(request: Request) -> Response:
    """Show one cohort's budget, run by run."""
    books = _books(request)
    known, place = budgets(books.ledger), int(request.path_params["place"])
    if place >= len(known):
        raise HTTPException(
            404, "There is no such budget. The page of the budget of all sites leads to those there are."
        )
    return page(
        request, "site.html", f"Privacy budget of {known[place].name}", "Budget", books, budget=known[place]
    )


def ledger_page(request: Request) -> Response:
    """List entries, filtered."""
    books = _books(request)
    query = request.query_params
    wanted = Filter(query.get("run", ""), query.get("site", ""), query.get("type", ""))
    chosen = {name: value for name, value in vars(wanted).items() if value}
    keys = {site: event.public_key for site, event in books.ledger.enrolled.items()}
    return page(
        request,
        "ledger.html",
        "Ledger",
        "Ledger",
        books,
        page=rows(books.ledger, wanted, number(request, "page")),
        wanted=wanted,
        types=types(books.ledger),
        query=lambda place: urlencode({**chosen, "page": place}),
        witnesses=[
            site for site, key in keys.items() if books.witnessed and books.witnessed.cosigned_by(site, key)
        ],
    )


def entry_page(request: Request) -> Response:
    """Show one entry, its signature and its proof."""
    books = _books(request)
    found = entry(books, int(request.path_params["index"]))
    if found is None:
        raise HTTPException(404, f"The ledger has no such entry; its last one is {len(books.ledger.lines) - 1}.")
    return page(request, "entry.html", f"Entry {found.index}", "Ledger", books, entry=found)


def entry_file(request: Request) -> Response:
    """Return an entry's bytes, or its proof."""
    books = _books(request)
    found = entry(books, int(request.path_params["index"]))
    if found is None:
        raise HTTPException(404, f"The ledger has no such entry; its last one is {len(books.ledger.lines) - 1}.")
    if _last(request) == "entry.json":
        return _download(found.canonical, f"entry-{found.index}.json")
    if found.proof is None or not found.is_proved:
        raise HTTPException(404, "No signed checkpoint at hand covers this entry, so there is no proof of it yet.")
    return _download(found.proof.text, f"entry-{found.index}.tlog-proof")


def ledger_file(request: Request) -> Response:
    """Return the whole ledger, or a checkpoint of it."""
    books, kind = _books(request), _last(request)
    if kind == LINES:
        return _download(jsonl(list(books.ledger.lines)).decode(), kind)
    found = books.signed if kind == CHECKPOINT else books.witnessed
    if found is None:
        raise HTTPException(404, "There is no such checkpoint at hand; the run writes one when it ends.")
    return _download(found.text, kind)


def _books(request: Request) -> Books:
    return books_of(request, portal_of(request).read())


def _last(request: Request) -> str:
    """Return the last part of the address, which is one of the routes' own."""
    return request.url.path.rpartition("/")[2]


def _download(text: str, name: str) -> Response:
    return Response(
        text,
        media_type="text/plain; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )
