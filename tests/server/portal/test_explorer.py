"""The ledger's pages: filters find exactly what they name, and every proof convinces others."""

import base64
import hashlib

import pytest
from starlette.testclient import TestClient

from server.portal.books import Books, read
from server.portal.explorer import ROWS, Filter, compare, entry, rows
from server.portal.sentences import sentence
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.view import head_of
from tests.server.ledgers import COORDINATOR, identity
from tests.server.portal.conftest import client_of
from tests.server.portal.scene import FIRST, SECOND, Scene


@pytest.fixture(scope="module")
def books(shown: Scene) -> Books:
    (found,) = read(shown.runs).books
    return found


def test_the_home_is_newer_than_the_exports(books: Books) -> None:
    assert books.signed is not None
    assert (len(books.ledger.lines), books.signed.head.size) == (35, 34)
    assert not books.faults


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Filter(), 35),
        (Filter(type="settle"), 5),
        (Filter(run=SECOND), 7),
        (Filter(run=SECOND, type="reserve", site="west"), 1),
        (Filter(site="west", type="round"), 6),
        (Filter(run=FIRST, type="incident"), 2),
        (Filter(site="nobody"), 0),
    ],
)
def test_a_filter_finds_exactly_what_it_names(books: Books, wanted: Filter, count: int) -> None:
    assert rows(books.ledger, wanted, 1).found == count


def test_pages_hold_every_entry_once_newest_first(books: Books) -> None:
    first = rows(books.ledger, Filter(), 1)
    seen = [row.index for page in range(1, first.pages + 1) for row in rows(books.ledger, Filter(), page).rows]
    assert seen == list(range(35))[::-1]
    assert len(first.rows) == ROWS
    assert rows(books.ledger, Filter(), 99).page == first.pages


def test_every_kind_of_entry_has_a_sentence(books: Books) -> None:
    for signed in books.ledger.events:
        assert sentence(signed.event)


def test_every_entry_is_genuine_and_proved_up_to_the_checkpoint(books: Books) -> None:
    for index in range(35):
        found = entry(books, index)
        assert found is not None
        assert found.is_genuine
        assert (found.proof is not None, found.is_proved) == (index < 34, index < 34)
    assert entry(books, 35) is None
    assert entry(books, -1) is None


def test_the_downloaded_proof_convinces_another_implementation(visitor: TestClient, books: Books) -> None:
    """C2SP tlog-proof, read and climbed by RFC 9162 section 2.1.3.2 without any of our own code."""
    for index in (0, 5, 31, 33):
        base = f"/federation/{books.id}/ledger/{index}"
        data, text = visitor.get(f"{base}/entry.json").content, visitor.get(f"{base}/entry.tlog-proof").text
        head, _, note = text.partition("\n\n")
        first, extra, place, *hashes = head.split("\n")
        assert (first, place) == ("c2sp.org/tlog-proof@v1", f"index {index}")
        assert base64.b64decode(extra.removeprefix("extra ")) == data
        size, root = note.split("\n")[1:3]
        total = hashlib.sha256(b"\x00" + data).digest()
        fn, sn = index, int(size) - 1
        for value in map(base64.b64decode, hashes):
            if fn & 1 or fn == sn:
                total = hashlib.sha256(b"\x01" + value + total).digest()
                while not fn & 1 and fn:
                    fn, sn = fn >> 1, sn >> 1
            else:
                total = hashlib.sha256(b"\x01" + total + value).digest()
            fn, sn = fn >> 1, sn >> 1
        assert sn == 0
        assert base64.b64encode(total).decode() == root
        assert parse_checkpoint(note, "it").is_by(COORDINATOR.public_key)
    assert visitor.get(f"/federation/{books.id}/ledger/34/entry.tlog-proof").status_code == 404


def test_downloads_are_the_ledger_itself(visitor: TestClient, books: Books) -> None:
    base = f"/federation/{books.id}"
    lines = visitor.get(f"{base}/ledger.jsonl").content.splitlines()
    assert tuple(lines) == books.ledger.lines
    assert visitor.get(f"{base}/checkpoint").text == (books.signed.text if books.signed else "")
    witnessed = parse_checkpoint(visitor.get(f"{base}/witnessed").text, "it")
    assert witnessed.cosigned_by("north", identity("north").public_key)


def test_a_kept_checkpoint_is_compared(visitor: TestClient, books: Books) -> None:
    """Grown, forked, of another key, from the future, damaged: each has its own answer."""
    key = books.ledger.terms.public_key
    lines = list(books.ledger.lines)
    assert key == COORDINATOR.public_key

    def checkpoint(of: list[bytes], by: str = "coordinator") -> str:
        return Checkpoint.by(identity(by), head_of(of)).text

    for size in (1, 16, 34, 35):
        assert compare(books, checkpoint(lines[:size])).holds is True
    forked = compare(books, checkpoint([*lines[:9], b"another"]))
    assert forked.holds is False
    assert "two histories" in forked.words
    assert compare(books, checkpoint([*lines, b"more"])).holds is False
    assert compare(books, checkpoint(lines[:9], by="mallory")).holds is False
    assert compare(books, "rubbish").holds is None
    address = f"/federation/{books.id}/consistency"
    pasted = checkpoint(lines[:9]).replace("\n", "\r\n").rstrip()  # as a browser sends it
    assert "It is the same ledger." in visitor.post(address, data={"checkpoint": pasted}).text
    assert "IT IS NOT." in visitor.post(address, data={"checkpoint": checkpoint([b"x"])}).text
    assert "Nothing could be compared." in visitor.post(address, data={"checkpoint": "<b>"}).text


def test_a_fork_between_two_folders_is_told(own: Scene) -> None:
    store = own.runs[1] / "ledger" / "ledger.jsonl"
    lines = (own.runs[0] / "ledger" / "ledger.jsonl").read_bytes().split(b"\n")
    store.parent.mkdir()
    store.write_bytes(b"\n".join(lines[:20]) + b"\n")
    assert not read(own.runs).books[0].faults
    other = Checkpoint.by(COORDINATOR, head_of([b"another history"]))
    (own.runs[1] / "ledger" / "checkpoint").write_text(other.text)
    (own.runs[2] / "ledger").mkdir()
    (own.runs[2] / "ledger" / "witnessed").write_text("rubbish")
    fork, rubbish = read(own.runs).books[0].faults
    assert "second is not of this ledger" in fork
    assert "third is no signed checkpoint" in rubbish
    text = client_of(own).get("/").text
    assert "is not of this ledger" in text
    assert str(own.runs[0].parent) not in text


def test_a_line_being_written_is_left_for_later(own: Scene) -> None:
    mirror = own.home / "ledger.jsonl"
    mirror.write_bytes(mirror.read_bytes() + b'{"event":{"cases"')
    assert len(read(own.runs).books[0].ledger.lines) == 35


def test_a_damaged_ledger_is_told_without_its_place(own: Scene) -> None:
    for path in (own.home / "ledger.jsonl", own.runs[0] / "ledger" / "ledger.jsonl"):
        path.write_bytes(path.read_bytes().replace(b'"north"', b'"nortH"', 1))
    text = client_of(own).get("/").text
    assert "first cannot be shown" in text
    assert str(own.runs[0].parent) not in text
