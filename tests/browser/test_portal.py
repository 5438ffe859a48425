"""The portal in Chromium: every page fits, is silent, and can be used by keyboard and without script."""

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import uvicorn
from starlette.testclient import TestClient

from server.portal.app import portal_app
from tests.server.portal.addresses import pages
from tests.server.portal.conftest import BASE
from tests.server.portal.scene import Scene, scene

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser
WIDTHS = (1280, 390)
_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
_FOCUS = "document.activeElement.outerHTML.slice(0, 200)"
_OUTLINED = "getComputedStyle(document.activeElement).outlineStyle !== 'none'"
_MARK = """(() => {
    const one = document.activeElement;
    if (one === document.body || one.dataset.seen) return false;
    one.dataset.seen = "yes";
    return true;
})()"""
_MISSED = """[...document.querySelectorAll("a[href], button, input, select, textarea")]
    .filter(one => !one.dataset.seen).map(one => one.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return scene(tmp_path_factory.mktemp("portal"))


@pytest.fixture(scope="module")
def base(made: Scene) -> Iterator[str]:
    """Serve the portal as the command does, on a free port."""
    server = uvicorn.Server(uvicorn.Config(portal_app(made.runs), port=0, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def addresses(made: Scene) -> list[str]:
    """Every page, but of entries only a few: they are all made alike."""
    found = pages(TestClient(portal_app(made.runs), base_url=BASE))
    return [one for one in sorted(found) if "/ledger/" not in one or one.endswith(("/0", "/5", "/34"))]


@pytest.fixture(params=WIDTHS)
def page(request: pytest.FixtureRequest, chromium: "Browser") -> Iterator["Page"]:
    context = chromium.new_context(viewport={"width": request.param, "height": 900})
    yield context.new_page()
    context.close()


def test_every_page_fits_and_is_silent(page: "Page", base: str, addresses: list[str]) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    assert len(addresses) > 20
    for address in addresses:
        said.clear()
        answer = page.goto(base + address)
        assert answer is not None
        if answer.status == 200:  # Chromium itself speaks up on the others
            assert not said, (address, said)
        assert page.evaluate(_WIDE) == 0, address
        assert page.evaluate("document.fonts.size") == 0


def test_every_control_is_reached_by_keyboard_and_seen(page: "Page", base: str, addresses: list[str]) -> None:
    few = [one for one in addresses if "?" not in one and not one.endswith(("/5", "/34"))]
    for address in few:
        page.goto(base + address)
        page.keyboard.press("Tab")
        assert "Skip to the content" in page.evaluate(_FOCUS), address
        while page.evaluate(_MARK):
            assert page.evaluate(_OUTLINED), (address, page.evaluate(_FOCUS))
            page.keyboard.press("Tab")
        assert page.evaluate(_MISSED) == [], address


def test_the_skip_link_skips(page: "Page", base: str) -> None:
    page.goto(base)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")


def test_dark_where_dark_is_asked_for(chromium: "Browser", base: str) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        context = chromium.new_context(color_scheme=scheme)
        page = context.new_page()
        page.goto(base)
        grounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        context.close()
    assert grounds == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 24, 29)"}


def test_the_viewer_runs_and_cannot_see_the_portal(page: "Page", base: str, made: Scene) -> None:
    page.goto(f"{base}/dataset/{made.released}/file/index.html")
    assert page.title() == "ran"
    assert page.evaluate("window.origin") == "null"
    assert page.evaluate("fetch('/').then(() => 'read', () => 'refused')") == "refused"
    assert page.evaluate("(() => { try { return document.cookie } catch { return 'refused' } })()") == "refused"


@pytest.mark.parametrize("width", WIDTHS)
def test_forms_work_without_script(chromium: "Browser", base: str, made: Scene, width: int) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, java_script_enabled=False)
    page = context.new_page()
    page.goto(base)
    page.get_by_role("link", name="Ledger", exact=True).click()
    page.get_by_label("Type").select_option("incident")
    page.get_by_role("button", name="Show").click()
    assert "2 entries found" in page.inner_text("main")
    page.get_by_role("link", name="Compare with a checkpoint you kept").click()
    page.get_by_label("Your checkpoint").fill((made.runs[0] / "ledger" / "checkpoint").read_text())
    page.get_by_role("button", name="Compare").click()
    assert "It is the same ledger." in page.inner_text("main")
    page.goto(f"{base}/approvals/{made.waiting}")
    signed = {"name": "approval.json", "mimeType": "application/json", "buffer": made.approval(made.waiting)}
    page.get_by_label("The file approval.json").set_input_files(files=[signed])
    page.get_by_role("button", name="Hand in").click()
    assert "Taken into the ledger" in page.inner_text("main")
    context.close()


def test_a_page_elsewhere_cannot_hand_anything_in(chromium: "Browser", base: str, made: Scene) -> None:
    """The form of another site, sent by a visitor's own browser: it says where it comes from."""
    context = chromium.new_context()
    page = context.new_page()
    address = f"{base}/approvals/{made.waiting}"
    page.set_content(f'<form method="post" action="{address}"><input name="approval" value="x"></form>')
    with page.expect_navigation() as gone:
        page.evaluate("document.forms[0].submit()")
    assert gone.value is not None
    assert gone.value.status == 403
    context.close()
