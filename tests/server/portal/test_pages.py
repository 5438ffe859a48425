"""Every page: what it says is what the ledger says, everybody can read it, and nothing hostile comes through."""

import re
import shutil
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markupsafe import escape
from starlette.testclient import TestClient

from server.dataset.checking.verify import examine_dataset
from server.dataset.files.seal import PROOF, SUMS
from server.portal.app import portal_app
from server.portal.books import read
from server.portal.budgets import budgets, whole
from server.report.build import build_report, write_report
from shared.canonical import digest
from shared.privacy.events import NoiseSource
from tests.server.datasets import released
from tests.server.ledgers import COORDINATOR, Story
from tests.server.portal.addresses import links, pages
from tests.server.portal.conftest import BASE, client_of
from tests.server.portal.scene import FIRST, HOSTILE, SECOND, Scene, data_set

_VOID = {"meta", "link", "img", "input", "br", "hr"}


class _Page(HTMLParser):
    """What tests ask of a page: elements with their attributes, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def site(visitor: TestClient) -> dict[str, str]:
    return pages(visitor)


@cache
def parsed(text: str) -> _Page:
    return _Page(text)


def test_every_page_is_reached_from_the_first(site: dict[str, str], shown: Scene) -> None:
    wanted = ("/", "/datasets", "/approvals", f"/dataset/{shown.released}", f"/approvals/{shown.waiting}")
    assert set(wanted) <= site.keys()
    assert any(address.endswith("/budget/3") for address in site)
    assert sum("/ledger/" in address for address in site) == 35  # every entry has its page


def test_no_link_leads_nowhere(site: dict[str, str], visitor: TestClient) -> None:
    for address in {link for text in site.values() for link in links(text)} - site.keys():
        assert visitor.head(address).status_code == 200, address


def test_pages_are_sound_and_accessible(site: dict[str, str]) -> None:
    for address, text in site.items():
        page = parsed(text)
        assert not page.open, address
        assert len(page.all("h1")) == 1, address
        assert [len(page.all(tag)) for tag in ("header", "main", "footer")] == [1, 1, 1], address
        assert page.all("a")[0] == {"class": "skip", "href": "#content"}
        assert page.all("html")[0]["lang"] == "en"
        assert all(image["alt"] for image in page.all("img")), address
        assert all(nav["aria-label"] for nav in page.all("nav")), address
        ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
        assert len(ids) == len(set(ids)), address


def test_tables_have_captions_and_headers(site: dict[str, str]) -> None:
    for address, text in site.items():
        own = text.partition('class="card"')[0]  # a card's tables are its author's
        page = parsed(text)
        assert own.count("<table") == own.count("<caption"), address
        assert all(head.get("scope") for head in page.all("th")) or 'class="card"' in text, address


def test_fields_have_labels(site: dict[str, str]) -> None:
    for address, text in site.items():
        page = parsed(text)
        named = {label["for"] for label in page.all("label")}
        fields = [attrs["id"] for tag in ("input", "select", "textarea") for attrs in page.all(tag)]
        assert set(fields) <= named, address


def test_nothing_hostile_becomes_markup(site: dict[str, str]) -> None:
    said = [address for address, text in site.items() if "&lt;script&gt;alert(1)" in text]
    assert len(said) >= 3  # in the list, in the entry, on the card
    for address, text in site.items():
        assert HOSTILE not in text, address
        assert not parsed(text).all("script"), address
        assert not any(
            name.startswith("on") or name == "style" for _, attrs in parsed(text).elements for name in attrs
        ), address
        assert "javascript:" not in "".join(links(text)), address
        hrefs = [attrs.get("href") or "" for attrs in parsed(text).all("a")]
        assert not any(href.startswith("javascript") for href in hrefs), address


def test_no_page_names_a_place_of_the_machine(site: dict[str, str], shown: Scene) -> None:
    for address, text in site.items():
        assert str(shown.runs[0].parent) not in text, address
        assert "Traceback" not in text, address


@pytest.mark.parametrize("source", NoiseSource)
def test_budgets_of_simulations_say_that_they_protect_nobody(source: NoiseSource, tmp_path: Path) -> None:
    """Whoever knows the seed takes the noise away, whatever ε it was drawn for."""
    dataset = released(tmp_path, story=Story(noise_source=source))
    with TestClient(portal_app([dataset.parent]), base_url=BASE) as client:
        texts = pages(client)
    budget = [text for address, text in texts.items() if address == "/" or "/budget" in address]
    assert len(budget) >= 3
    simulated = source is NoiseSource.SEEDED
    assert [("Cite no" in text) for text in budget] == [simulated] * len(budget)
    assert ("1 simulation" in texts["/"], "1 release" in texts["/"]) == (simulated, not simulated)


def test_no_epsilon_stands_without_its_meaning(site: dict[str, str]) -> None:
    """Whatever page names a computed ε names unit, δ, relation and accountant in the words that follow."""
    for address, text in site.items():
        plain = re.sub(r"<[^>]+>", " ", text)
        for match in re.finditer(r"ε = [\d.∞]+", plain):
            after = " ".join(plain[match.end() : match.end() + 220].split())
            for word in ("δ = 1e-05", "unit: patient", "add/remove"):
                assert word in after[:160], (address, match.group(), after)


def test_the_same_request_gives_the_same_page(visitor: TestClient) -> None:
    assert visitor.get("/").text == visitor.get("/").text


def test_the_budget_is_what_the_report_says(shown: Scene) -> None:
    (books,) = read(shown.runs).books
    report = build_report(list(books.ledger.events), SECOND)
    groups = {site: group for group in _list(report["groups"]) for site in group["sites"]}
    for budget in budgets(books.ledger):
        if budget.site in groups:
            group = groups[budget.site]
            assert budget.planned[0] == group["if_planned"]["cost"]["pld"]
            assert budget.guaranteed[0] == group["guaranteed"]["cost"]
            assert budget.share == group["filter"]
    assert [budget.runs for budget in budgets(books.ledger)] == [2, 2, 2, 1]
    assert [budget.is_settled for budget in budgets(books.ledger)] == [True, False, False, True]
    assert [level["sites"] for level in whole(books.ledger).levels] == [1, 2, 3]


def test_the_overview_says_what_happened(visitor: TestClient, shown: Scene) -> None:
    text = " ".join(visitor.get("/").text.split())
    assert "4 sites, 160 declared patients" in text
    assert f"Candidate {shown.waiting}</a> of run first waits for a data steward" in text
    assert shown.shut not in text
    assert "Run second is not settled" in text
    assert "0 of 4" in text  # the refused run
    assert f"ledger?run={FIRST}&amp;type=incident" in text


def test_a_folder_that_cannot_be_read_hides_no_other(
    shown: Scene, tmp_path_factory: pytest.TempPathFactory
) -> None:
    empty = tmp_path_factory.mktemp("empty")
    reading = read([empty, *shown.runs])
    assert [one.name for one in reading.unread] == [empty.name]
    assert len(reading.books) == 1
    assert len(reading.books[0].held) == 3


def test_data_sets_elsewhere_are_shown_by_their_ledger(shown: Scene, tmp_path: Path) -> None:
    released = shutil.copytree(shown.runs[0] / "dataset", tmp_path / "elsewhere")
    data_set(tmp_path / "stranger", {"more.txt": b"another"})
    app = portal_app(shown.runs, [released, tmp_path / "stranger"])
    text = TestClient(app, base_url=BASE).get("/datasets").text
    assert "stranger is released by no ledger at hand" in text
    assert "elsewhere is released" not in text
    assert f"/dataset/{shown.released}" in text


def test_reading_every_file_is_what_willis_dataset_verify_does(tmp_path: Path) -> None:
    out = released(tmp_path)
    visitor = TestClient(portal_app([tmp_path]), base_url=BASE)
    address = f"/dataset/{digest((out / SUMS).read_bytes())[:12]}/verify"
    text = visitor.get(address).text
    assert "FAILED" not in text
    for finding in examine_dataset(out, COORDINATOR.public_key):
        assert escape(finding.check) in text
    assert "the data set is the one released, and claims what the ledger says" in text
    (out / PROOF).unlink()
    assert "<b>Open:</b>\nthe release of exactly this data set" in visitor.get(address).text


def test_a_report_is_shown_without_script(own: Scene) -> None:
    write_report(own.runs[0])
    answer = client_of(own).get(f"/run/{FIRST}/report")
    assert answer.text.startswith("<!doctype html>")
    assert "script-src" not in answer.headers["content-security-policy"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert client_of(own).get(f"/run/{FIRST}/report.json").json()["run"]["id"] == FIRST
    assert client_of(own).get(f"/run/{SECOND}/report").status_code == 404


def _list(value: object) -> list[dict[str, dict[str, dict[str, object]]]]:
    assert isinstance(value, list)
    return value
