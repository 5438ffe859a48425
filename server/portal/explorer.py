"""The ledger, entry by entry: filters, pages, and the proof that an entry is in the signed log."""

import json
from dataclasses import dataclass

from server.portal.books import Books, Ledger
from server.portal.sentences import sentence
from shared.errors import LedgerError
from shared.ledger.checkpoint import parse_checkpoint
from shared.ledger.events import Enrol, Event, Federation, Round, Steward
from shared.ledger.log import bound, steward_name
from shared.ledger.merkle import consistency_proof, leaf_hash, root_of, verify_consistency
from shared.ledger.tlog_proof import TlogProof

ROWS = 25  # on one page


@dataclass(frozen=True)
class Filter:
    """What entries to show; "" or None: all."""

    run: str = ""
    site: str = ""
    type: str = ""


@dataclass(frozen=True)
class Row:
    """One entry in the list."""

    index: int
    type: str
    signer: str
    run: str
    words: str


@dataclass(frozen=True)
class Rows:
    """One page of the list; pages count from 1, the newest entries first."""

    rows: tuple[Row, ...]
    found: int
    page: int
    pages: int


@dataclass(frozen=True)
class Entry:
    """Everything about one entry; `proof` is None while no signed checkpoint covers it, `is_proved` checks it."""

    index: int
    type: str
    signer: str
    key: str
    is_genuine: bool
    run: str
    words: str
    canonical: str
    readable: str
    proof: TlogProof | None
    is_proved: bool


@dataclass(frozen=True)
class Answer:
    """What a visitor's checkpoint means for this ledger; `holds` is None where nothing can be said."""

    holds: bool | None
    words: str
    hashes: tuple[bytes, ...] = ()


def rows(ledger: Ledger, wanted: Filter, page: int) -> Rows:
    """Return page `page` of the entries wanted; the last one where there are fewer."""
    found = [i for i, s in enumerate(ledger.events) if _is_wanted(s.event, wanted)][::-1]
    pages = max(1, -(-len(found) // ROWS))
    page = min(max(1, page), pages)
    shown = found[(page - 1) * ROWS : page * ROWS]
    return Rows(tuple(_row(ledger, index) for index in shown), len(found), page, pages)


def types(ledger: Ledger) -> list[str]:
    """Return the kinds of entries there are."""
    return sorted({signed.event.type for signed in ledger.events})


def entry(books: Books, index: int) -> Entry | None:
    """Return one entry, its signature and its proof checked now; None if there is none."""
    ledger = books.ledger
    if not 0 <= index < len(ledger.events):
        return None
    signed, raw = ledger.events[index], ledger.lines[index]
    row, key, proof = _row(ledger, index), _key_at(ledger, index), _prove(books, index)
    return Entry(
        index=index,
        type=row.type,
        signer=row.signer,
        key=key,
        is_genuine=signed.is_signed_by(key),
        run=row.run,
        words=row.words,
        canonical=raw.decode(),
        readable=json.dumps(json.loads(raw), indent=2, ensure_ascii=False),
        proof=proof,
        is_proved=proof is not None and proof.holds(ledger.terms.public_key),
    )


def compare(books: Books, text: str) -> Answer:
    """Return whether this ledger grew out of the checkpoint that a visitor kept."""
    try:
        kept = parse_checkpoint(text, "what you pasted")
    except LedgerError as err:
        return Answer(None, f"{err}. Paste the whole file, from its first line to the end of the last signature.")
    key, lines = books.ledger.terms.public_key, books.ledger.lines
    if not kept.is_by(key):
        return Answer(
            False, f"It is not signed by this ledger's key {key[:16]}…: it is of another ledger, or forged."
        )
    if kept.head.size > len(lines):
        words = (
            f"It is of {kept.head.size} entries, and {len(lines)} are here: this copy is older, or was rewound."
        )
        return Answer(False, words)
    leaves = [leaf_hash(raw) for raw in lines]
    hashes = tuple(consistency_proof(leaves, kept.head.size))
    old, new = bytes.fromhex(kept.head.root), root_of(leaves)
    if verify_consistency(kept.head.size, len(leaves), old, new, hashes):
        more = len(leaves) - kept.head.size
        return Answer(
            True, f"This ledger begins with the {kept.head.size} entries you kept; {more} came since.", hashes
        )
    words = (
        "The coordinator signed two histories: this ledger does not begin with the entries you kept. Keep both, "
    )
    return Answer(False, words + "stop publishing, and tell every hospital.")


def _prove(books: Books, index: int) -> TlogProof | None:
    """Return the proof that an entry is in the log that was signed last; None where that ends before it."""
    if books.signed is None or index >= books.signed.head.size:
        return None
    return TlogProof.of(books.ledger.lines[: books.signed.head.size], index, books.signed)


def _is_wanted(event: Event, wanted: Filter) -> bool:
    sites = event.sites if isinstance(event, Round) else (getattr(event, "site", ""),)
    return (
        (not wanted.type or event.type == wanted.type)
        and (not wanted.run or getattr(event, "run", "").startswith(wanted.run))
        and (not wanted.site or wanted.site in sites)
    )


def _row(ledger: Ledger, index: int) -> Row:
    signed = ledger.events[index]
    event = signed.event
    return Row(index, event.type, signed.signer, getattr(event, "run", ""), sentence(event))


def _key_at(ledger: Ledger, index: int) -> str:
    """Return the key by which entry `index` must be signed."""
    who = bound(ledger.events[index].event)
    key = ""
    for event in (signed.event for signed in ledger.events[: index + 1]):
        named = steward_name(event.name) if isinstance(event, Steward) else bound(event)
        if isinstance(event, Enrol | Federation | Steward) and named == who:
            key = event.public_key
    return key
