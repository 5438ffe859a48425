"""A trained generator in one file: gated, recorded, read back; and what cannot be one is refused."""

from pathlib import Path

import pytest
import torch

from server.dataset.gate import drawn_maps
from server.run.folder import RunFolder
from shared.errors import UsageError
from shared.ledger.events import Release
from shared.recipes.network_file import read_network
from shared.recipes.perfusion_records import ROLES
from tests.cohorts import WRITERS, write_policy
from tests.commands import Outcome, willis

ONCE = ("--rounds", 1, "--set", "steps=1", "--set", "sampling_rate=1", "--set", "records=1")
LITTLE = ("--recipe", "perfusion-2d", *ONCE, "--count", 1, "--seed", 2, "--pretrain", "none")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private run of perfusion-2d and one without noise, of the same patients."""
    folder = tmp_path_factory.mktemp("network")
    for number in range(3):
        WRITERS[frozenset(ROLES)](folder / "cohorts" / "east", f"sub-{number:03d}", number)
    write_policy(folder / "cohorts" / "east")
    for name, noise in (("private", ("--epsilon", 8)), ("open", ("--unsafe-non-private",))):
        done = willis("simulate", folder / name, "--cohorts", folder / "cohorts", *LITTLE, *noise)
        assert done.status == 0, done
    return folder


def hand_over(root: Path, run: str, *more: object) -> Outcome:
    return willis("network", root / run, root / f"{run}.safetensors", *more)


@pytest.mark.slow
def test_a_private_network_is_recorded_and_says_what_it_cost(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "study kossen-ch7" in hand_over(root, "private").sentence()
    assert "maps follow from the series: rank" in hand_over(root, "private", "--publish-anyway").sentence()
    monkeypatch.setattr(drawn_maps, "LEAST", -1.0)  # of a network that was trained for a single step
    assert hand_over(root, "private", "--publish-anyway").status == 0
    recipe, generator, about = read_network(root / "private.safetensors", "perfusion-2d")
    assert about.private
    assert about.claim.startswith("SIMULATION: the noise is seeded")
    assert all(words in about.claim for words in ("ε = ", "δ = 1e-05", "unit: patient", "add/remove"))
    frames = torch.zeros(1, 80, 64, 64)
    assert generator(frames).shape == (1, 5, 64, 64)
    assert recipe.name == "perfusion-2d"
    ledger = RunFolder(root / "private").home.open_ledger()
    ledger.close()
    released = [s.event for s in ledger.events if isinstance(s.event, Release)]
    assert [(r.what, r.cases, r.kind) for r in released if r.what == "network"] == [("network", 0, "simulation")]
    assert "1 network" in (root / "private" / "report" / "index.html").read_text()
    file = root / "private.safetensors"
    assert willis("audit", "verify", root / "private", "--network", file).status == 0
    again = hand_over(root, "private", "--publish-anyway").sentence()
    assert "exists already" in again


@pytest.mark.slow
def test_a_network_that_is_not_private_is_written_by_name_alone_and_says_so(root: Path) -> None:
    assert "say --unsafe-non-private" in hand_over(root, "open").sentence()
    assert hand_over(root, "open", "--unsafe-non-private").status == 0
    about = read_network(root / "open.safetensors", "perfusion-2d")[2]
    assert not about.private
    assert about.claim.startswith("NOT PRIVATE")


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UsageError, match="no network of Willis"):
        read_network(tmp_path / "notes.txt", "perfusion-2d")
    with pytest.raises(UsageError, match="no network of Willis"):
        read_network(tmp_path / "missing", "perfusion-2d")
