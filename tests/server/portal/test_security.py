"""What leaves the portal: its pages, and files that a data set lists. No spelling of an address gets more."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message

from server.portal.app import portal_app
from server.portal.guard import LOOPBACK, is_own
from server.portal.plain import without_paths
from server.portal.served import media_type, path_of
from tests.server.portal.conftest import BASE, client_of
from tests.server.portal.scene import Scene, data_set, scene

_UP = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%252f", "..\\", "..%5c", "....//", "%c0%ae%c0%ae/", "..;/")


def _private(made: Scene) -> dict[Path, bytes]:
    """Return every file at the coordinator that no page gives away as it lies, with its bytes."""
    public = ("dataset", "candidates", "ledger", "report")
    return {
        path: path.read_bytes()
        for run in made.runs
        for path in run.rglob("*")
        if path.is_file() and path.relative_to(run).parts[0] not in public and path.name != "ledger.jsonl"
    }


def _spellings(made: Scene, path: Path) -> Iterator[str]:
    """Yield about twenty hostile spellings of a file's address, from every route that takes a name."""
    absolute, inside = str(path), path.relative_to(made.runs[0].parent).as_posix()
    plain, run = path.relative_to(made.runs[0]).as_posix() if path.is_relative_to(made.runs[0]) else inside, inside
    base = f"/dataset/{made.waiting}/file/"
    yield from (base + plain, base + absolute, base + quote(absolute, safe=""), base + "/" + absolute)
    for up in _UP:
        yield base + up * 2 + plain
    yield base + "README.md/../../" + plain
    yield base + "sub-1/anat/" + "../" * 12 + absolute.lstrip("/")
    yield base + plain + "%00.md"
    yield base + "README.md%00/../../" + plain
    for base in (
        "/",
        "/run/",
        "/federation/",
        f"/dataset/{made.released}/../../",
        "/portal.css/../",
        "//",
        "/%2e%2e/",
    ):
        yield base + plain
        yield base + run


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """A federation whose every private file holds a mark, and others than those that are shown."""
    made = scene(tmp_path_factory.mktemp("secrets"))
    for name in ("run.json", "members.json", "patience.json", "approved.json", "initial.safetensors"):
        (made.runs[0] / name).write_bytes(b"MARK " + name.encode())
    (made.runs[0] / "checkpoints").mkdir()
    (made.runs[0] / "checkpoints" / "round-00001.safetensors").write_bytes(b"MARK weights")
    return made


def test_no_spelling_of_an_address_gets_a_private_file(secrets: Scene) -> None:
    app, private = portal_app(secrets.runs), _private(secrets)
    names = {path.name for path in private}
    assert {"coordinator.key", "plan.json", "round-00001.safetensors", "ledger.sqlite", "run.json"} <= names

    async def walk() -> None:
        for path, data in private.items():
            addresses = list(_spellings(secrets, path))
            assert len(addresses) >= 20
            for address in addresses:
                status, body = await _raw(app, address)
                assert status >= 400 or not data or data not in body, (address, status)
                assert b"PRIVATE KEY" not in body
                assert b"MARK" not in body, address

    asyncio.run(walk())


async def _raw(app: ASGIApp, address: str) -> tuple[int, bytes]:
    """Ask by an address exactly as it is spelt: clients made for tests would tidy it up first."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(address),  # as uvicorn does
        "raw_path": address.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8765),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_a_data_set_gives_what_it_lists_and_nothing_else(tmp_path: Path) -> None:
    """Also where the data set itself is hostile: names that climb, links, folders."""
    outside = tmp_path / "secret.txt"
    outside.write_text("secret")
    folder = tmp_path / "run" / "dataset"
    data_set(folder)
    (folder / "link.txt").symlink_to(outside)
    (folder / "linked").symlink_to(tmp_path)
    (folder / "unlisted.txt").write_text("unlisted")
    names = ["../../secret.txt", str(outside), "link.txt", "linked/secret.txt", "sub-1", ".", "..", "", "a\x00b"]
    sums = (folder / "SHA256SUMS").read_text() + "".join(f"{'0' * 64}  {name}\n" for name in names)
    (folder / "SHA256SUMS").write_text(sums)
    assert [path_of(folder, name) for name in names] == [None] * len(names)
    assert path_of(folder, "unlisted.txt") is None
    assert path_of(folder, "README.md") == folder / "README.md"
    assert path_of(folder, "SHA256SUMS.sig") == folder / "SHA256SUMS.sig"


def test_files_come_whole_in_ranges_and_as_heads(visitor: TestClient, shown: Scene) -> None:
    address = f"/dataset/{shown.released}/file/sub-1/anat/sub-1_angio.nii.gz"
    whole = visitor.get(address)
    assert whole.content == bytes(range(256)) * 8
    assert whole.headers["content-disposition"].startswith("attachment")
    part = visitor.get(address, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    head = visitor.head(address)
    assert (head.headers["content-length"], head.status_code) == ("2048", 200)
    assert visitor.get(address, headers={"range": "bytes=9999-"}).status_code == 416


def test_only_the_viewer_is_a_page_and_it_sees_nothing(visitor: TestClient, shown: Scene) -> None:
    viewer = visitor.get(f"/dataset/{shown.released}/file/index.html")
    assert viewer.headers["content-type"].startswith("text/html")
    rules = viewer.headers["content-security-policy"]
    assert "sandbox allow-scripts" in rules
    assert "allow-same-origin" not in rules
    assert "default-src 'none'" in rules
    card = visitor.get(f"/dataset/{shown.released}/file/README.md")
    assert card.headers["content-type"].startswith("text/plain")
    for name in ("a.html", "b/index.html", "x.svg", "x.xhtml", "x.xml", "x.js", "x.htm"):
        assert media_type(name) == "application/octet-stream", name


def test_every_answer_carries_the_headers(visitor: TestClient, shown: Scene) -> None:
    some = (
        "/",
        "/nowhere",
        "/portal.css",
        f"/dataset/{shown.released}/file/README.md",
        "/federation/x/ledger/99999",
    )
    for address in some:
        for answer in (visitor.get(address), visitor.head(address), visitor.put(address)):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["x-frame-options"] == "DENY"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "server" not in answer.headers
            assert "set-cookie" not in answer.headers
            assert answer.headers["cache-control"] in ("no-store", "no-cache", "max-age=300")
    assert "script-src" not in visitor.get("/").headers["content-security-policy"]


def test_errors_are_pages(visitor: TestClient, shown: Scene) -> None:
    (federation,) = {link.split("/")[2] for link in _federations(visitor)}
    base = f"/federation/{federation}"
    for address in (
        "/nowhere",
        "/federation/0000/ledger",
        f"{base}/ledger/99999",
        f"{base}/ledger/{'9' * 400}",
        f"{base}/ledger/{'9' * 5000}",  # more digits than Python reads
        f"{base}/budget/99",
        f"{base}/budget/{'9' * 5000}",
        "/dataset/none",
        f"/dataset/{shown.released}/file/none",
        "/run/none/report",
        "/approvals/none",
    ):
        answer = visitor.get(address)
        assert answer.status_code == 404, address
        assert answer.text.count("<h1>") == 1
        assert "overview" in answer.text.lower()
        assert f'<a href="{base}/budget">Budget</a>' in answer.text, address  # the whole menu, here too
    assert visitor.delete("/").status_code == 405
    for query in (
        "page=-1",
        "page=99999999999999999999",
        "page=²",
        "page=",
        "run=%00&site=%ff",
        "type=" + "x" * 9000,
    ):
        assert visitor.get(f"{base}/ledger?{query}").status_code == 200, query


def test_an_error_nobody_foresaw_tells_nothing(shown: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(paths: object) -> None:
        raise RuntimeError("/etc/secret is broken")

    monkeypatch.setattr("server.portal.portal.read", broken)
    answer = client_of(shown).get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "RuntimeError" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "", "[::2]", "localhost."]
)
def test_another_name_is_refused(visitor: TestClient, host: str) -> None:
    answer = visitor.get("/", headers={"host": host})
    assert answer.status_code == 421
    assert "Willis portal" not in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1", "[::1]:8765", "LOCALHOST"])
def test_its_own_names_are_answered(visitor: TestClient, host: str) -> None:
    assert visitor.get("/datasets", headers={"host": host}).status_code == 200


def test_a_named_portal_answers_to_its_name(shown: Scene) -> None:
    app = portal_app(shown.runs, hosts=(*LOOPBACK, "portal.example.org"))
    assert TestClient(app, base_url="http://portal.example.org").get("/datasets").status_code == 200


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ({"host": "localhost:1"}, True),  # no browser
        ({"host": "localhost:1", "sec-fetch-site": "same-origin", "origin": "http://localhost:1"}, True),
        ({"host": "localhost:1", "sec-fetch-site": "none"}, True),
        ({"host": "localhost:1", "sec-fetch-site": "same-site"}, False),
        ({"host": "localhost:1", "sec-fetch-site": "cross-site"}, False),
        ({"host": "localhost:1", "origin": "http://localhost:1"}, True),  # an older browser
        ({"host": "localhost:1", "origin": "http://localhost:2"}, False),
        ({"host": "localhost:1", "origin": "http://evil.example"}, False),
        ({"host": "localhost:1", "origin": "null"}, False),
    ],
)
def test_whose_form_it_is(headers: dict[str, str], own: bool) -> None:
    assert is_own(headers) is own


def test_forms_are_small_and_are_forms(visitor: TestClient, shown: Scene) -> None:
    (federation,) = {link.split("/")[2] for link in _federations(visitor)}
    for address in (f"/federation/{federation}/consistency", f"/approvals/{shown.waiting}"):
        assert visitor.post(address, data={"checkpoint": "x" * 70_000}).status_code == 413
        assert visitor.post(address, files={"file": b"x" * 70_000}).status_code == 413
        assert visitor.post(address, json={"a": 1}).status_code == 415
        broken = {"content-type": "multipart/form-data; boundary=b"}
        assert (
            visitor.post(
                address, content=b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", headers=broken
            ).status_code
            == 400
        )
        assert visitor.post(address, data={f"f{i}": "x" for i in range(9)}).status_code == 400
        assert visitor.post(address, data={}, headers={"origin": "http://evil.example"}).status_code == 403
        assert visitor.post(address, data={}, headers={"origin": BASE}).status_code in (200, 400, 415)


def test_places_of_the_machine_are_left_out(tmp_path: Path) -> None:
    run = tmp_path / "a run"
    run.mkdir()
    assert without_paths(f"{run}/plan.json: damaged", [run]) == "a run/plan.json: damaged"
    assert without_paths(f"see {run.parent}/other/key", [run]) == "see key"
    assert without_paths("write 3/4 and and/or", [run]) == "write 3/4 and and/or"
    home = os.path.expanduser("~/x/y.sqlite")
    assert os.path.dirname(home) not in without_paths(f"{home}: locked", [run])


def _federations(visitor: TestClient) -> list[str]:
    from tests.server.portal.addresses import links

    return [link for link in links(visitor.get("/").text) if link.startswith("/federation/")]
