import hashlib
from pathlib import Path

import pytest

from deploy.site.approvals import MOST_PENDING, MOST_REFUSALS, MOST_WORDS, Approvals
from deploy.site.contents import MOST_BYTES
from shared.errors import UsageError

ONE, TWO = b"one", b"two"
HASH = hashlib.sha256(ONE).hexdigest()


@pytest.fixture
def approvals(tmp_path: Path) -> Approvals:
    return Approvals(tmp_path / "bundles")


def test_the_last_word_of_a_person_holds_and_a_refusal_is_none(approvals: Approvals) -> None:
    assert not approvals.is_approved(HASH)
    approvals.approve(ONE, "")
    approvals.refuse(HASH, "the run sets noise")
    assert approvals.is_approved(HASH)
    approvals.revoke(HASH, "a bug")
    assert not approvals.is_approved(HASH)
    approvals.approve(ONE, "")
    assert approvals.is_approved(HASH)
    assert [d.verb for d in approvals.decisions()] == ["approved", "refused", "revoked", "approved"]


def test_a_decision_says_who_when_and_why_across_processes(
    approvals: Approvals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    approvals.approve(ONE, "read whole\u2028twice")
    (decision,) = Approvals(tmp_path / "bundles").decisions()
    assert (decision.person, decision.note, decision.hash) == ("ada", "read whole\u2028twice", HASH)
    assert decision.time.tzinfo is not None


def test_a_bundle_shown_waits_for_a_decision(approvals: Approvals) -> None:
    approvals.keep(ONE)
    approvals.keep(ONE)
    assert approvals.pending() == [HASH]
    assert approvals.read(HASH) == ONE
    assert approvals.find(HASH[:6]) == HASH
    approvals.revoke(HASH, "")
    assert approvals.pending() == []
    approvals.keep(ONE)  # a bundle declined does not come back by being sent again
    assert approvals.pending() == []


def test_a_coordinator_cannot_fill_the_disk(approvals: Approvals, tmp_path: Path) -> None:
    for number in range(MOST_PENDING):
        approvals.keep(bytes([number]))
    with pytest.raises(UsageError, match=f"{MOST_PENDING} bundles wait"):
        approvals.keep(ONE)
    with pytest.raises(UsageError, match="bytes"):
        approvals.keep(bytes(MOST_BYTES + 1))
    assert len(list((tmp_path / "bundles").glob("*.fab"))) == MOST_PENDING


def test_refusals_are_written_down_once_and_not_without_end(
    approvals: Approvals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.site.approvals.MOST_REFUSALS", 3)
    for note in "aabbbcde":
        approvals.refuse(HASH, note)
    assert [d.note for d in approvals.decisions()] == ["a", "b", "c"]
    assert MOST_REFUSALS >= 100


def test_the_words_of_a_refusal_are_cut(approvals: Approvals) -> None:
    for end in "ab":
        approvals.refuse(HASH, "x" * 10**6 + end)
    assert [d.note for d in approvals.decisions()] == ["x" * MOST_WORDS]


@pytest.mark.parametrize("line", ['{"verb": "approved"}\n', "\n", "\x00\n", '{"verb": "appr\n', "\n\n{", "7"])
def test_a_damaged_line_is_named_and_nothing_is_taken_for_approved(
    approvals: Approvals, tmp_path: Path, line: str
) -> None:
    approvals.approve(ONE, "")
    file = tmp_path / "bundles" / "decisions.jsonl"
    with file.open("a") as out:
        out.write(line)
    for ask in (lambda: approvals.is_approved(HASH), lambda: approvals.approve(TWO, "")):
        with pytest.raises(UsageError, match=r"decisions\.jsonl:2: damaged"):
            ask()


@pytest.mark.parametrize("torn", ['{"verb": "revo', "{", "\x00\x00", '{"verb": "revoked", "note": "x}'])
def test_a_last_line_that_was_cut_off_is_none(approvals: Approvals, tmp_path: Path, torn: str) -> None:
    """A crash or a full disk in the middle of a line must not silence the site for good."""
    approvals.approve(ONE, "")
    file = tmp_path / "bundles" / "decisions.jsonl"
    with file.open("a") as out:
        out.write(torn)
    assert approvals.is_approved(HASH)
    approvals.approve(TWO, "")
    assert [d.verb for d in approvals.decisions()] == ["approved", "approved"]
    assert file.read_bytes().count(b"\n") == 2
    file.write_text(torn)  # the very first
    assert approvals.decisions() == []
    approvals.approve(ONE, "")
    assert approvals.is_approved(HASH)


def test_a_decision_counts_though_its_end_of_line_is_missing(approvals: Approvals, tmp_path: Path) -> None:
    approvals.approve(ONE, "")
    approvals.revoke(HASH, "")
    file = tmp_path / "bundles" / "decisions.jsonl"
    file.write_bytes(file.read_bytes()[:-1])
    assert not approvals.is_approved(HASH)
    approvals.refuse(HASH, "")
    assert [d.verb for d in approvals.decisions()] == ["approved", "revoked", "refused"]


def test_a_bundle_changed_on_disk_is_not_read(approvals: Approvals, tmp_path: Path) -> None:
    approvals.approve(ONE, "")
    (tmp_path / "bundles" / f"{HASH}.fab").write_bytes(TWO)
    with pytest.raises(UsageError, match="damaged"):
        approvals.read(HASH)
    with pytest.raises(UsageError, match="0 bundles known here begin"):
        approvals.find("zz")
