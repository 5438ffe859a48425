"""A run's folder before Flower has it: who may take part, and what it begins with."""

from pathlib import Path

import pytest

from deploy.coordinator.starting import begin
from server.query.asking import Budget, as_run
from shared.canonical import digest
from shared.errors import UsageError
from tests.deploy.folders import approve_sites
from tests.deploy.parties import centre

ASKED = as_run("query-dice", None, "small", {}, Budget(epsilon=1.0))


def test_hospitals_that_are_named_may_take_part_and_no_others(tmp_path: Path) -> None:
    home = centre(tmp_path)
    approve_sites(home, active=["east", "north", "west"])
    said = begin(home, "useful", ASKED, None, None, initial=b"weights", among=["east", "west"])
    assert said[1] == "sites     2 of 2 approved; goes on with 2"
    folder = home.run("useful")
    assert set(folder.approved() or {}) == {"east", "west"}
    assert folder.job().initial == digest(folder.initial_file.read_bytes()) == digest(b"weights")


def test_a_hospital_that_is_not_approved_cannot_be_named(tmp_path: Path) -> None:
    home = centre(tmp_path)
    approve_sites(home, active=["east"], revoked=["west"])
    with pytest.raises(UsageError, match="north, west: not approved here"):
        begin(home, "useful", ASKED, None, None, initial=b"weights", among=["east", "north", "west"])
    assert not home.run("useful").path.exists()
