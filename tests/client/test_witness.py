"""A hospital cosigns a ledger that grew out of what it saw before, and no other."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from client.witness import Witness
from shared.errors import LedgerError, ProtocolError
from shared.ledger.checkpoint import Checkpoint, parse_checkpoint
from shared.ledger.log import Head
from shared.ledger.merkle import consistency_proof, leaf_hash, root_of
from shared.messages import WitnessReply, WitnessRequest
from tests.server.ledgers import COORDINATOR, identity

EAST, THIEF = identity("east"), identity("thief")
LEAVES = [leaf_hash(bytes([i])) for i in range(12)]
FORK = [*LEAVES[:3], leaf_hash(b"other"), *LEAVES[4:]]


def checkpoint(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint.by(COORDINATOR, Head(size, root_of(leaves[:size]).hex()))


def request(old: int, size: int, leaves: list[bytes] = LEAVES, **changed: object) -> WitnessRequest:
    proof = tuple(h.hex() for h in consistency_proof(leaves[:size], min(old, size)))
    made = WitnessRequest(
        coordinator=COORDINATOR.public_key, checkpoint=checkpoint(size, leaves).text, old_size=old, proof=proof
    )
    return made.model_copy(update=changed)


@pytest.fixture
def east(tmp_path: Path) -> Witness:
    """A witness that has seen five entries."""
    witness = Witness(tmp_path, EAST)
    assert is_cosigned(witness.answer(request(0, 5)), 5)
    return witness


def is_cosigned(reply: WitnessReply, size: int, leaves: list[bytes] = LEAVES) -> bool:
    if not reply.signature:
        return False
    cosigned = checkpoint(size, leaves).with_signatures((reply.name, bytes.fromhex(reply.signature)))
    return cosigned.cosigned_by("east", EAST.public_key) and reply.size == size


def test_a_log_that_grew_is_cosigned(east: Witness) -> None:
    for old, size in ((5, 5), (5, 6), (6, 12)):
        assert is_cosigned(east.answer(request(old, size)), size)


def test_a_proof_that_starts_elsewhere_is_answered_with_where_it_must_start(east: Witness) -> None:
    for old in (0, 4, 7):
        assert east.answer(request(old, 8)) == WitnessReply(size=5, name="", signature="")
    assert is_cosigned(east.answer(request(5, 8)), 8)


def kept(east: Witness) -> Head:
    found = east.kept(COORDINATOR.public_key)
    assert found is not None
    return found.head


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (request(0, 4), "rewound"),
        (request(4, 4), "rewound"),
        (request(5, 4), "rewound"),
        (request(0, 0), "rewound"),
        (request(5, 5, FORK), "forked"),
        (request(5, 9, FORK), "forked"),
        (request(5, 8, proof=()), "forked"),
        (request(5, 8, proof=request(4, 8).proof), "forked"),
        (request(5, 8, proof=request(5, 9).proof), "forked"),
        (request(5, 8, proof=request(5, 8).proof[::-1]), "forked"),
        (request(5, 5, proof=("0" * 64,)), "forked"),
    ],
    ids=str,
)
def test_a_log_that_was_rewound_or_forked_is_refused_and_nothing_is_kept(
    east: Witness, asked: WitnessRequest, words: str
) -> None:
    before = kept(east)
    with pytest.raises(LedgerError, match=words):
        east.answer(asked)
    assert kept(east) == before == checkpoint(5).head


def test_an_older_checkpoint_replayed_is_refused_also_after_a_restart(east: Witness, tmp_path: Path) -> None:
    replayed = request(5, 6)
    east.answer(replayed)
    east.answer(request(6, 9))
    with pytest.raises(LedgerError, match="rewound"):
        east.answer(replayed)
    again = Witness(tmp_path, EAST)
    assert kept(again) == checkpoint(9).head
    with pytest.raises(LedgerError, match="rewound"):
        again.answer(replayed)
    assert is_cosigned(again.answer(request(9, 10)), 10)


@pytest.mark.parametrize(
    "text",
    [
        Checkpoint.by(THIEF, checkpoint(6).head).text,
        checkpoint(6).text.replace("\n6\n", "\n7\n"),
        checkpoint(6).body + "\n",
        "",
        checkpoint(6).text.replace("willis-ledger", "another-ledger"),
    ],
    ids=["another key", "another size", "unsigned", "empty", "another log"],
)
def test_what_the_coordinator_did_not_sign_is_refused(east: Witness, text: str) -> None:
    with pytest.raises((ProtocolError, LedgerError)):
        east.answer(request(5, 6, checkpoint=text))
    assert kept(east) == checkpoint(5).head


def test_another_coordinator_is_another_log_and_does_not_touch_this_one(east: Witness) -> None:
    """Its ledger may begin anew; what this site spent on its patients is in the site's own ledger."""
    with pytest.raises(ProtocolError, match="not signed by the keeper"):
        east.answer(request(0, 6, coordinator=THIEF.public_key))
    other = Checkpoint.by(THIEF, Head(1, LEAVES[0].hex()))
    east.answer(WitnessRequest(coordinator=THIEF.public_key, checkpoint=other.text, old_size=0, proof=()))
    assert kept(east) == checkpoint(5).head


def test_a_kept_checkpoint_that_is_damaged_is_not_taken_for_none(east: Witness, tmp_path: Path) -> None:
    (path,) = tmp_path.glob("*.checkpoint")
    path.write_text("")
    with pytest.raises(LedgerError, match=r"checkpoint: not a signed checkpoint"):
        east.answer(request(0, 6))
    assert path.read_text() == ""


def test_the_cosignature_is_given_only_after_the_checkpoint_is_kept(
    east: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a crash in between would let the site cosign a fork afterwards."""

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("client.witness.write_durably", full)
    with pytest.raises(OSError, match="no space left"):
        east.answer(request(5, 6))
    assert kept(east) == checkpoint(5).head


def test_what_is_kept_is_what_the_coordinator_signed(east: Witness, tmp_path: Path) -> None:
    (path,) = tmp_path.glob("*.checkpoint")
    assert parse_checkpoint(path.read_text(encoding="utf-8"), "kept").is_by(COORDINATOR.public_key)


def test_of_two_forks_shown_at_once_one_is_cosigned(tmp_path: Path) -> None:
    """Whatever the timing: both may follow from nothing, and only the first to be kept is signed."""
    for trial in range(10):
        folder = tmp_path / str(trial)
        start = Barrier(2)

        def ask(leaves: list[bytes], folder: Path = folder, start: Barrier = start) -> bool:
            start.wait()
            return is_cosigned(Witness(folder, EAST).answer(request(0, 5, leaves)), 5, leaves)

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(ask, (LEAVES, FORK))) == [False, True]
