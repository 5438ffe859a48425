"""The ledger on disk: what was appended is there, and a damaged or emptied file is never taken for a new one."""

import multiprocessing
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.canonical import digest
from shared.errors import LedgerError
from shared.ledger.events import Enrol, Round
from shared.ledger.log import NOTHING, Head, SignedEvent
from shared.ledger.merkle import leaf_hash, root_of
from shared.ledger.store import LedgerStore
from tests.server.ledgers import Story, identity, signed, signed_all

ENTRIES = signed_all(Story().events())


def filled(folder: Path, count: int = len(ENTRIES)) -> Path:
    """Return a closed ledger with the first `count` entries of a run."""
    path = folder / "ledger.sqlite"
    store = LedgerStore(path, create=True)
    for entry in ENTRIES[:count]:
        store.append(entry)
    store.close()
    return path


def rows(path: Path) -> list[bytes]:
    database = sqlite3.connect(path)
    found = [row[0] for row in database.execute("SELECT line FROM log ORDER BY id")]
    database.close()
    return found


def change(path: Path, statement: str, *values: object) -> None:
    """Change the file behind the store's back."""
    database = sqlite3.connect(path)
    database.execute(statement, values)
    database.commit()
    database.close()


def test_what_was_appended_is_there_when_opened_again(tmp_path: Path) -> None:
    path = filled(tmp_path)
    store = LedgerStore(path, create=False)
    assert store.events == ENTRIES
    assert store.lines == rows(path)
    assert store.head == Head(len(ENTRIES), root_of(map(leaf_hash, store.lines)).hex())
    store.close()


def test_the_same_events_give_the_same_lines(tmp_path: Path) -> None:
    assert rows(filled(tmp_path / "a")) == rows(filled(tmp_path / "b"))


def test_a_new_ledger_is_empty(tmp_path: Path) -> None:
    store = LedgerStore(tmp_path / "deep" / "ledger.sqlite", create=True)
    assert (store.head, store.events, store.lines) == (NOTHING, [], [])
    store.close()
    again = LedgerStore(tmp_path / "deep" / "ledger.sqlite", create=True)
    assert again.events == []
    again.close()


def test_reading_never_creates(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match=r"ledger\.sqlite: no ledger here.*restore it from a copy"):
        LedgerStore(tmp_path / "ledger.sqlite", create=False)
    assert not list(tmp_path.iterdir())


def test_an_entry_is_appended_once(tmp_path: Path) -> None:
    store = LedgerStore(filled(tmp_path), create=False)
    for entry in ENTRIES[1:]:  # a federation is founded, not repeated
        store.append_once(entry, lambda known, entry=entry: known == entry.event)  # type: ignore[misc]
    assert store.events == ENTRIES
    store.close()


def test_history_is_not_contradicted(tmp_path: Path) -> None:
    store = LedgerStore(filled(tmp_path), create=False)
    (first,) = [e.event for e in ENTRIES if isinstance(e.event, Round) and e.event.round == 1]
    other = signed(first.model_copy(update={"model": digest(b"x")}))
    with pytest.raises(LedgerError, match="round was recorded before with other content"):
        store.append_once(other, lambda known: isinstance(known, Round) and known.round == 1)
    assert store.events == ENTRIES
    store.close()


def test_an_entry_with_another_signature_is_not_appended(tmp_path: Path) -> None:
    path = filled(tmp_path, count=4)
    store = LedgerStore(path, create=False)
    settle = Story().settle("north")
    forged = SignedEvent.by(identity("south"), settle).model_copy(update={"signer": "north"})
    unsigned = SignedEvent(event=settle, signer="north", signature="")
    rekeyed = SignedEvent.by(identity("thief"), Enrol(**enrol_fields("north", "thief")))
    for entry in (forged, unsigned, rekeyed):
        with pytest.raises(LedgerError, match="entry 4"):
            store.append(entry)
    assert store.events == ENTRIES[:4]
    store.close()
    assert len(rows(path)) == 4


def test_a_wrong_signature_is_refused_also_where_nothing_is_new(tmp_path: Path) -> None:
    """Or a site could be taken to have signed again what somebody repeats for it."""
    store = LedgerStore(filled(tmp_path), create=False)
    repeated = ENTRIES[-1].model_copy(update={"signature": ENTRIES[-2].signature})
    with pytest.raises(LedgerError, match="settle is not signed by west"):
        store.append_once(repeated, lambda known: known == repeated.event)
    store.close()


def enrol_fields(site: str, key_of: str) -> dict[str, object]:
    return Story().enrol(site).model_dump() | {"public_key": identity(key_of).public_key}


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[0] ^= 0xFF
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def as_text(path: Path) -> None:
    change(path, "UPDATE log SET line = CAST(line AS TEXT) WHERE id = 2")


def renumbered(path: Path) -> None:
    change(path, "UPDATE log SET id = 99 WHERE id = 2")


DAMAGE: dict[Callable[[Path], object], str] = {
    lambda path: path.write_bytes(b""): "no such table",
    lambda path: path.write_bytes(b"ledger"): "not a database",
    flipped: "not a database",
    cut: "malformed",
    lambda path: change(path, "DROP TABLE log"): "no such table",
    lambda path: change(path, "DELETE FROM log WHERE id = 0"): "entry 0: not the entry that belongs here",
    lambda path: change(path, "DELETE FROM log WHERE id = 4"): "entry 4: not the entry that belongs here",
    lambda path: change(path, "UPDATE log SET line = ? WHERE id = 2", b"{}"): "entry 2: damaged",
    as_text: "entry 2: damaged",
    renumbered: "entry 2: not the entry that belongs here",
}


@pytest.mark.parametrize("damage", DAMAGE, ids=DAMAGE.values())
def test_a_damaged_file_is_named_and_left_as_it_is(damage: Callable[[Path], object], tmp_path: Path) -> None:
    path = filled(tmp_path)
    damage(path)
    before = path.read_bytes()
    for create in (False, True):
        with pytest.raises(LedgerError) as error:
            LedgerStore(path, create=create)
        assert str(error.value).startswith(str(path.with_suffix("")))
        assert DAMAGE[damage] in str(error.value)
        assert "restore" in str(error.value)
    assert path.read_bytes() == before


def restored(path: Path) -> None:
    """An older copy of the database, brought back as it was."""
    change(path, "DELETE FROM log WHERE id >= 6")


def mirror_edited(path: Path) -> None:
    mirror = path.with_suffix(".jsonl")
    mirror.write_bytes(mirror.read_bytes().replace(b'"patients":40', b'"patients":90', 1))


@pytest.mark.parametrize(
    "spoil",
    [restored, mirror_edited, lambda path: path.with_suffix(".jsonl").unlink()],
    ids=["older", "edit", "gone"],
)
def test_what_its_mirror_does_not_confirm_is_refused(spoil: Callable[[Path], object], tmp_path: Path) -> None:
    path = filled(tmp_path)
    spoil(path)
    before = path.read_bytes()
    for create in (False, True):
        with pytest.raises(LedgerError, match=r"ledger\.jsonl: .*restore"):
            LedgerStore(path, create=create)
    assert path.read_bytes() == before


@pytest.mark.parametrize("lost", [1, 40, 700])
def test_a_mirror_that_a_crash_left_behind_is_completed(lost: int, tmp_path: Path) -> None:
    path = filled(tmp_path)
    mirror = path.with_suffix(".jsonl")
    whole = mirror.read_bytes()
    assert whole == b"".join(row + b"\n" for row in rows(path))
    mirror.write_bytes(whole[:-lost])
    LedgerStore(path, create=False).close()
    assert mirror.read_bytes() == whole


@settings(deadline=None)
@given(entry=st.integers(0, len(ENTRIES) - 1), place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_bit_of_an_entry_can_be_changed_unseen(
    entry: int, place: float, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.getbasetemp() / "bits"
    path = folder / "ledger.sqlite" if folder.exists() else filled(folder)
    whole = rows(path)[entry]
    changed = bytearray(whole)
    changed[int(place * len(whole))] ^= 1 << bit
    change(path, "UPDATE log SET line = ? WHERE id = ?", bytes(changed), entry)
    try:
        with pytest.raises(LedgerError):
            LedgerStore(path, create=False)
    finally:
        change(path, "UPDATE log SET line = ? WHERE id = ?", whole, entry)


def test_a_full_disk_keeps_what_there_was(tmp_path: Path) -> None:
    path = filled(tmp_path, count=6)
    store = LedgerStore(path, create=False)
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite then fails as it does on a full disk

    def fill() -> None:
        for entry in ENTRIES[6:] * 20:
            store.append(entry)

    with pytest.raises(LedgerError, match="full; free disk space"):
        fill()
    kept = store.events
    store._db.execute("PRAGMA max_page_count = 1000000")
    store.append(signed_all([Story().settle("north")])[0])  # space was freed: the log goes on
    store.close()
    again = LedgerStore(path, create=False)
    assert again.events[:-1] == kept
    assert again.events[:6] == ENTRIES[:6]
    again.close()


def test_two_writers_take_in_what_the_other_wrote(tmp_path: Path) -> None:
    path = filled(tmp_path, count=4)
    one, other = (LedgerStore(path, create=False) for _ in range(2))
    for number, entry in enumerate(ENTRIES[4:]):
        (one, other)[number % 2].append(entry)
    one.append_once(ENTRIES[-1], lambda known: known == ENTRIES[-1].event)  # known only once it has caught up
    assert one.events == ENTRIES
    for store in (one, other):
        store.close()
    assert path.with_suffix(".jsonl").read_bytes() == b"".join(row + b"\n" for row in rows(path))


def append_many(path: Path, who: str) -> None:
    store = LedgerStore(path, create=False)
    for number in range(10):
        store.append(signed(Story().round(1).model_copy(update={"model": f"{who}-{number}"})))
    store.close()


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    path = filled(tmp_path, count=8)
    workers = [multiprocessing.get_context("spawn").Process(target=append_many, args=(path, who)) for who in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
        assert worker.exitcode == 0
    store = LedgerStore(path, create=False)
    store.close()
    models = [s.event.model for s in store.events[8:] if isinstance(s.event, Round)]
    assert sorted(models) == [f"{who}-{number}" for who in "ab" for number in range(10)]
    assert [m for m in models if m.startswith("a")] == [f"a-{number}" for number in range(10)]


def test_a_crash_while_a_ledger_is_made_leaves_none(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite.part").write_bytes(b"half of a ledger")
    store = LedgerStore(tmp_path / "ledger.sqlite", create=True)
    store.append(ENTRIES[0])
    store.close()
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".jsonl", ".lock", ".sqlite"]
