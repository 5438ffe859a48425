"""The pages of data sets, and the only files that leave the portal as they lie on disk."""

from threading import Lock
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from server.dataset.files.cases import SHEET
from server.dataset.viewer import VIEWER
from server.portal import guard
from server.portal.datasets import DataSet, findings, quick_findings, strangers
from server.portal.portal import number, page, portal_of, set_of
from server.portal.queue import gate_of
from server.portal.served import UNSHOWN, card_of, claims_of, files, media_type, path_of, plain_file
from shared.ledger.finding import Finding

_ROWS = 200  # files on one page
_ONE_AT_A_TIME = Lock()  # reading whole data sets; visitors wait for each other
_PATIENCE = 5.0  # seconds
REPORTS = {"report": "index.html", "report.json": "report.json"}


def list_page(request: Request) -> Response:
    """Show every data set."""
    portal = portal_of(request)
    reading = portal.read()
    sets = [data for data in portal.sets(reading) if not data.is_network]
    sheets = {data.id: path_of(data.folder, SHEET) is not None for data in sets}
    return page(
        request,
        "datasets.html",
        "Data sets",
        "Data sets",
        reading.only,
        sets=sets,
        sheets=sheets,
        strangers=strangers(sets, portal.datasets),
    )


def set_page(request: Request) -> Response:
    """Show one data set, by what can be said without reading every file."""
    data = _named(request)
    return _show(request, data, quick_findings(data), checked=False)


def verify_page(request: Request) -> Response:
    """Show one data set after reading every file."""
    data = _named(request)
    if not _ONE_AT_A_TIME.acquire(timeout=_PATIENCE):
        raise HTTPException(503, "Another data set is being read at this moment. Ask again in a while.")
    try:
        found = findings(data)
    finally:
        _ONE_AT_A_TIME.release()
    return _show(request, data, [*quick_findings(data), *found], checked=True)


def file(request: Request) -> Response:
    """Return a file that SHA256SUMS lists, whole or a range of it."""
    data, name = _named(request), str(request.path_params["name"])
    path = path_of(data.folder, name)
    if path is None:
        raise HTTPException(404, "This data set lists no such file. Its page names every file there is.")
    shown = media_type(name)
    return FileResponse(
        path,
        headers={
            "content-security-policy": guard.VIEWER if name == VIEWER else guard.FILE,
            "cache-control": "no-cache",
        },
        media_type=shown,
        filename=path.name,
        content_disposition_type="attachment" if shown == UNSHOWN else "inline",
    )


def report(request: Request) -> Response:
    """Return a run's budget report: the page, or its figures for machines."""
    reading = portal_of(request).read()
    run = str(request.path_params["run"])
    held = next((held for books in reading.books if (held := books.holder(run))), None)
    name = REPORTS[request.url.path.rpartition("/")[2]]
    path = plain_file(held.folder.path / "report", name) if held else None
    if path is None:
        raise HTTPException(404, "There is no report of this run here; the run writes it when it ends.")
    shown = "text/html; charset=utf-8" if path.suffix == ".html" else "application/json"
    return FileResponse(path, headers={"content-security-policy": guard.FILE}, media_type=shown)


def _named(request: Request) -> DataSet:
    portal = portal_of(request)
    return set_of(request, portal.sets(portal.read()))


def _show(request: Request, data: DataSet, found: list[Finding], *, checked: bool) -> Response:
    portal = portal_of(request)
    listed = files(data.folder)
    pages = max(1, -(-len(listed) // _ROWS))
    place = min(max(1, number(request, "page")), pages)
    said = [Finding(one.check, one.passed, portal.plain(one.detail)) for one in found]
    return page(
        request,
        "dataset.html",
        f"Data set {data.id}",
        "Data sets",
        data.books,
        data=data,
        found=said,
        checked=checked,
        gate=gate_of(data),
        claims=_claims(claims_of(data.folder)),
        files=listed,
        shown=listed[(place - 1) * _ROWS : place * _ROWS],
        page=place,
        pages=pages,
        card=card_of(data.folder),
        has_sheet=path_of(data.folder, SHEET) is not None,
        has_viewer=path_of(data.folder, VIEWER) is not None,
    )


def _claims(claim: dict[str, Any]) -> list[tuple[str, dict[str, str], dict[str, str]]]:
    """Return (site, guaranteed, if planned) as the data set has them; it may hold anything."""
    sure, planned = claim.get("sites"), claim.get("if_planned")
    prices = planned.get("sites") if isinstance(planned, dict) else None
    if not isinstance(sure, dict) or not isinstance(prices, dict):
        return []
    return [(str(site), _text(sure[site]), _text(prices.get(site))) for site in sure]


def _text(claim: object) -> dict[str, str]:
    """Return the one part of a claim that is shown; it carries everything that gives its ε meaning."""
    return {"text": str(claim.get("text", "not said")) if isinstance(claim, dict) else "not said"}
