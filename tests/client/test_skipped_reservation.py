"""Negative controls: a build that skips its reservation must fail the tests that say what a reservation is for."""

from pathlib import Path

import pytest

from client.site import Site
from shared.errors import WillisError
from shared.ledger.events import Reserve
from shared.ledger.log import SignedEvent
from shared.ledger.store import LedgerStore
from tests.client import test_app, test_site
from tests.client.conversation import Conversation
from tests.cohorts import lesion_cohorts

CAUGHT = (AssertionError, WillisError, IndexError, ValueError)


def reserved(root: Path) -> Conversation:
    """Return a site that was asked to reserve, as the fixture of the same name does."""
    site = Conversation(lesion_cohorts(root, {"east": 3}) / "east")
    site.enrol(test_app.RECIPE)
    site.reserve(test_app.PLAN)
    return site


def enrolled(root: Path) -> Site:
    site = Site(lesion_cohorts(root, {"east": 3}) / "east")
    site.enrol(test_site.cohort_of(site))
    return site


def test_the_undisturbed_build_passes_them(tmp_path: Path) -> None:
    test_app.test_training_after_settlement_is_refused_until_the_run_is_resumed(reserved(tmp_path / "a"))
    test_site.test_a_settled_run_makes_no_further_step_until_it_is_reserved_again(enrolled(tmp_path / "b"))
    test_site.test_a_run_that_never_settled_counts_in_full(enrolled(tmp_path / "c"))


def test_a_site_that_does_not_check_its_reservation_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Site, "_check_standing", lambda *_: None)
    with pytest.raises(CAUGHT):
        test_app.test_training_after_settlement_is_refused_until_the_run_is_resumed(reserved(tmp_path / "a"))
    with pytest.raises(pytest.fail.Exception):  # it expects an error, and none is raised
        test_site.test_a_settled_run_makes_no_further_step_until_it_is_reserved_again(enrolled(tmp_path / "b"))


def test_a_site_that_does_not_write_its_reservation_down_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = LedgerStore.append

    def forget(store: LedgerStore, signed: SignedEvent) -> None:
        if not isinstance(signed.event, Reserve):
            append(store, signed)

    monkeypatch.setattr(LedgerStore, "append", forget)
    site = enrolled(tmp_path / "a")
    with pytest.raises(CAUGHT):
        test_site.test_a_run_that_never_settled_counts_in_full(site)
    with pytest.raises(WillisError, match="lacks run"):
        site.settle(test_site.SEEDED.run)
