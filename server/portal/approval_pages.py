"""The data steward's queue, and the one form that changes anything: it takes a signed approval, and nothing else.

There is no login: whoever sends it, an approval counts if a steward in office signed it, and only then.
"""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from server.dataset.files.cases import SHEET
from server.dataset.viewer import VIEWER
from server.portal.books import Held
from server.portal.datasets import quick_findings
from server.portal.forms import fields
from server.portal.overview import is_running
from server.portal.portal import page, portal_of, set_of
from server.portal.queue import candidate, candidates, commands
from server.portal.served import path_of
from server.portal.taking import LedgerBusy, is_busy, ledger_of, take
from shared.errors import UsageError, WillisError


def queue_page(request: Request) -> Response:
    """Show every candidate, those that wait first."""
    portal = portal_of(request)
    reading = portal.read()
    found = candidates(portal.sets(reading))
    return page(request, "approvals.html", "Approvals", "Approvals", reading.only, found=found)


async def decide_page(request: Request) -> Response:
    """Show one candidate; take the signed approval that came with the form."""
    text = ""
    if request.method == "POST":
        sent = await fields(request)
        text = sent.get("file", "").strip() or sent.get("approval", "").strip()
    return await run_in_threadpool(_decide, request, text)


def _decide(request: Request, text: str) -> Response:
    taken, refusal, status = "", "", 200
    if request.method == "POST":
        taken, refusal, status = _take(request, text)
    portal = portal_of(request)
    data = set_of(request, portal.sets(portal.read()))  # after taking it, so that the page shows it
    one = candidate(data)
    return page(
        request,
        "approval.html",
        f"Candidate {data.id}",
        "Approvals",
        data.books,
        status=status,
        one=one,
        commands=commands(one),
        found=quick_findings(data),
        has_sheet=path_of(data.folder, SHEET) is not None,
        has_viewer=path_of(data.folder, VIEWER) is not None,
        running=is_running(data.books),
        cannot=portal.plain(_cannot(data.held)),
        taken=taken,
        refusal=portal.plain(refusal),
        pasted=text if refusal else "",
    )


def _cannot(held: Held) -> str:
    """Return why no approval can be taken at this moment; "" if one can."""
    try:
        busy = is_busy(ledger_of(held))
    except UsageError as err:
        return str(err)
    return "a coordinator is writing to the ledger at this moment; send the approval in a while" if busy else ""


def _take(request: Request, text: str) -> tuple[str, str, int]:
    """Return (what was taken, why nothing was, status of the answer)."""
    portal = portal_of(request)
    data = set_of(request, portal.sets(portal.read()))
    try:
        approval = take(data, text)
    except LedgerBusy as err:
        return "", str(err), 503
    except WillisError as err:
        return "", str(err), 400
    return f"{approval.steward} {approval.decision} it", "", 200
