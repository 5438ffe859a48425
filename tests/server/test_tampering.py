"""A sample of every class of forgery by every forger; `python -m benchmarks.tampering` tries all of them."""

import pytest

from benchmarks.forgeries import FORGERS, TRUE, Mutation, mutations
from benchmarks.tampering import ALONE, EVIDENCE, FOLDERS, KEPT, KEY, WITNESSES, Auditor, campaign, replays

EVERY = 20  # of the frequent classes, one in so many; of the others, all
READERS, THIEVES, COORDINATOR, ALL_TOGETHER = FORGERS[:2], FORGERS[2:4], FORGERS[4], FORGERS[5]
MUTATIONS = list(mutations())
RARE = ("double spend", "understated steps", "overstated noise", "another δ", "more noise planned than before")


@pytest.fixture(scope="module")
def auditor(tmp_path_factory: pytest.TempPathFactory) -> Auditor:
    return Auditor(tmp_path_factory.mktemp("audit"))


def sample() -> list[Mutation]:
    return [m for i, m in enumerate(MUTATIONS) if m[0] in RARE or i % EVERY == 0]


def test_the_true_ledger_passes_with_all_evidence(auditor: Auditor) -> None:
    assert [auditor.catches(TRUE, evidence) for evidence in EVIDENCE] == [""] * len(EVIDENCE)


def test_whoever_has_no_key_of_the_coordinator_is_caught_by_the_export_alone(auditor: Auditor) -> None:
    tallies = campaign(auditor, sample(), READERS)
    assert sum(t.tried for t in tallies.values()) > 150
    assert [(who, t.passed) for who, t in tallies.items() if t.caught[ALONE] != t.tried] == []


def test_another_key_is_caught_by_the_key_the_auditor_knows_by_witnesses_and_by_what_was_kept(
    auditor: Auditor,
) -> None:
    tallies = campaign(auditor, sample(), THIEVES)
    for tally in tallies.values():
        assert tally.caught[KEY] == tally.caught[WITNESSES] == tally.caught[KEPT] == tally.tried


def test_a_coordinator_that_writes_its_ledger_anew_is_caught_by_witnesses_and_by_what_was_kept(
    auditor: Auditor,
) -> None:
    tallies = campaign(auditor, sample(), [COORDINATOR, ALL_TOGETHER])
    for tally in tallies.values():
        assert tally.caught[WITNESSES] == tally.caught[KEPT] == tally.tried
    replayed = replays(auditor)
    assert replayed.caught[KEPT] == replayed.tried
    assert replayed.caught[ALONE] == 0  # it was right once; only who saw more can tell


@pytest.mark.parametrize("kind", RARE[:4])
def test_even_all_together_cannot_sign_a_wrong_account_of_spending(auditor: Auditor, kind: str) -> None:
    """The events contradict each other: caught by the export alone, whoever signed."""
    tallies = campaign(auditor, [m for m in MUTATIONS if m[0] == kind], [COORDINATOR, ALL_TOGETHER])
    assert all(t.caught[ALONE] == t.tried > 0 for t in tallies.values())


def test_a_site_that_holds_its_own_ledger_sees_what_was_changed_of_its_words(auditor: Auditor) -> None:
    wanted = [m for m in MUTATIONS if m[0] == "drop" and m[1] in ("enrol", "reserve", "settle")]
    tallies = campaign(auditor, wanted, [ALL_TOGETHER])
    assert all(t.caught[FOLDERS] == t.tried > 0 for t in tallies.values())


def test_even_all_together_cannot_leave_out_what_a_release_needed(auditor: Auditor) -> None:
    """Gate and approval of a release are missed by the export alone; so is the steward that approved."""
    wanted = [m for m in MUTATIONS if m[0] == "drop" and m[1] in ("gate", "approval", "steward")]
    tallies = campaign(auditor, wanted, FORGERS)
    assert {what for _, what, _ in wanted} == {"gate", "approval", "steward"}
    assert all(t.caught[ALONE] == t.tried > 0 for t in tallies.values())
