"""A browser without network, and pages opened in it from disk."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Chromium no longer draws WebGL by software unless it is told to.
FLAGS = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    """Debian's Chromium; it fails where there is none, for a test that is skipped proves nothing."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    assert path is not None, "there is no chromium on the path; `make test-browser` installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *FLAGS])
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: "Browser", folder: Path, *, width: int = 1280, script: bool = True, before: str = ""
) -> Iterator["Page"]:
    """Yield FOLDER/index.html, opened from disk without network; fail on any error or request of the page.

    `before` is JavaScript that runs before the page's own.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 900}, offline=True, java_script_enabled=script
    )
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    address = (folder / "index.html").as_uri()
    page.on("request", lambda asked: wrong.append(asked.url) if asked.url.partition("#")[0] != address else None)
    page.add_init_script(before)
    page.goto(address)
    yield page
    assert not wrong
    context.close()
