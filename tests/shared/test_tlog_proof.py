"""A proof from a log holds for its entry, place and key; nothing else does, and the file has one form."""

import base64
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import LedgerError
from shared.identity import Identity
from shared.ledger.checkpoint import Checkpoint
from shared.ledger.tlog_proof import TlogProof, parse_tlog_proof
from shared.ledger.view import head_of

LINES = [f"entry {number}".encode() for number in range(9)]


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return Identity.at(tmp_path_factory.mktemp("keys") / "key", "coordinator")


def proof_of(key: Identity, size: int, index: int) -> TlogProof:
    lines = LINES[:size]
    return TlogProof.of(lines, index, Checkpoint.by(key, head_of(lines)))


@pytest.mark.parametrize("size", range(1, 10))
def test_every_entry_is_proved_and_read_back(key: Identity, size: int, tmp_path: Path) -> None:
    stranger = Identity.at(tmp_path / "other", "coordinator")
    for index in range(size):
        proof = proof_of(key, size, index)
        assert proof.holds(key.public_key)
        assert not proof.holds(stranger.public_key)
        assert parse_tlog_proof(proof.text, "here") == proof


def test_it_has_the_form_of_c2sp(key: Identity) -> None:
    proof = proof_of(key, 7, 4)
    above, checkpoint = proof.text.split("\n\n", 1)
    first, extra, index, *hashes = above.split("\n")
    assert (first, index) == ("c2sp.org/tlog-proof@v1", "index 4")
    assert base64.b64decode(extra.removeprefix("extra ")) == LINES[4]
    assert [len(base64.b64decode(line)) for line in hashes] == [32, 32, 32]
    assert checkpoint == proof.checkpoint.text


def test_another_entry_place_or_path_is_not_proved(key: Identity) -> None:
    proof = proof_of(key, 9, 5)
    for wrong in (
        replace(proof, entry=LINES[4]),
        replace(proof, index=4),
        replace(proof, hashes=proof.hashes[:-1]),
        replace(proof, hashes=proof.hashes[::-1]),
        replace(proof, checkpoint=proof_of(key, 8, 5).checkpoint),
    ):
        assert not wrong.holds(key.public_key)


def test_no_byte_can_be_changed(key: Identity) -> None:
    """Each is in something signed or hashed, or the file is not in its one form."""
    data = proof_of(key, 5, 2).text.encode()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        try:
            proof = parse_tlog_proof(changed.decode(), "here")
        except (LedgerError, UnicodeDecodeError):
            continue
        assert not proof.holds(key.public_key), place


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("index 2", "index 02"), ("index 2", "index -2"), ("extra ", "extra  "), ("@v1", "@v2"), ("\n\n", "\n")],
)
def test_another_form_is_refused(key: Identity, right: str, wrong: str) -> None:
    text = proof_of(key, 5, 2).text
    with pytest.raises(LedgerError, match="here: not a"):
        parse_tlog_proof(text.replace(right, wrong, 1), "here")
