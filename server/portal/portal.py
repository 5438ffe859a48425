"""The portal as its pages see it: what it was given, what it reads now, and how it makes an answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from server.portal.books import Books, Reading, read
from server.portal.datasets import DataSet, find
from server.portal.plain import without_paths
from server.portal.rendering import environment


@dataclass(frozen=True)
class Portal:
    """The run folders shown, further data sets, and the templates."""

    runs: Sequence[Path]
    datasets: Sequence[Path]
    pages: Environment = field(default_factory=environment)

    def read(self) -> Reading:
        """Read everything anew."""
        return read(self.runs)

    def sets(self, reading: Reading) -> list[DataSet]:
        """Return the data sets at hand."""
        return find(reading, self.datasets)

    def plain(self, text: str) -> str:
        """Return a sentence without the places of this machine."""
        return without_paths(text, [*self.runs, *self.datasets])


def portal_of(request: Request) -> Portal:
    """Return the portal that a request is to."""
    found = request.app.state.portal
    assert isinstance(found, Portal)
    return found


def books_of(request: Request, reading: Reading) -> Books:
    """Return the federation that an address names.

    Raises:
        HTTPException: 404, if there is none.
    """
    books = reading.of(str(request.path_params["federation"]))
    if books is None:
        raise HTTPException(404, "There is no federation of this name here. The overview names those there are.")
    return books


def set_of(request: Request, sets: Sequence[DataSet]) -> DataSet:
    """Return the data set that an address names.

    Raises:
        HTTPException: 404, if there is none.
    """
    named = str(request.path_params["dataset"])
    found = next((data for data in sets if data.id == named), None)
    if found is None:
        raise HTTPException(
            404, "There is no data set of this name here. The page of data sets names those there are."
        )
    return found


def number(request: Request, name: str, usual: int = 1) -> int:
    """Return a whole number of the query; of anything else, `usual`."""
    value = request.query_params.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else usual


def page(
    request: Request,
    template: str,
    title: str,
    section: str,
    books: Books | None,
    *,
    status: int = 200,
    **values: object,
) -> Response:
    """Return a page; `books` is the federation whose budget and ledger its menu leads to."""
    portal = portal_of(request)
    text = portal.pages.get_template(template).render(
        title=title, section=section, books=books, nav=_menu(books), plain=portal.plain, **values
    )
    return HTMLResponse(text, status)


def message(request: Request, title: str, words: str, status: int, books: Books | None = None) -> Response:
    """Return a page that says one thing, without places of this machine."""
    return page(request, "message.html", title, "", books, status=status, words=portal_of(request).plain(words))


def _menu(books: Books | None) -> list[tuple[str, str]]:
    own = (
        [("Budget", f"/federation/{books.id}/budget"), ("Ledger", f"/federation/{books.id}/ledger")]
        if books
        else []
    )
    return [("Overview", "/"), *own, ("Data sets", "/datasets"), ("Approvals", "/approvals")]
