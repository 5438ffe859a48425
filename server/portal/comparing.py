"""The page that compares the ledger with a checkpoint which a visitor kept. Nothing is stored."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from server.portal.explorer import Answer, compare
from server.portal.forms import fields
from server.portal.portal import books_of, page, portal_of


async def compare_page(request: Request) -> Response:
    """Show the form; of a checkpoint that came with it, what it means for this ledger."""
    pasted = (await fields(request)).get("checkpoint", "") if request.method == "POST" else ""
    return await run_in_threadpool(_answer, request, pasted)


def _answer(request: Request, pasted: str) -> Response:
    books = books_of(request, portal_of(request).read())
    answer: Answer | None = compare(books, f"{pasted.strip()}\n") if request.method == "POST" else None
    return page(request, "consistency.html", "Compare a checkpoint", "Ledger", books, answer=answer, pasted=pasted)
