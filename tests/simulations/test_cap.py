"""A site's cap over several runs: refused before training, with the figures, and only what ran is charged."""

import re
from pathlib import Path

import pytest

from server.run.folder import RunFolder
from shared.ledger.events import Refuse, Reserve, Settle
from tests.cohorts import lesion_cohorts, snapshot, write_policy
from tests.commands import willis

CAP = 5.0
REFUSAL = re.compile(
    r"west refuses: this run would bring the cohort to (\d+)% of the site's cap of "
    r"ε = 5\.00 \(δ = 1e-05; unit: patient; add/remove; limit set by the site\), from (\d+)%, counted by a "
    r"Rényi filter of order [\d.]+, as later runs may depend on earlier ones' results; "
    r"ask for a smaller epsilon, or have the site raise max_epsilon in its policy.toml"
)


@pytest.fixture(autouse=True)
def _one_accountant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the second accountant out, as where Opacus is not installed: it is slow and not at stake here."""
    monkeypatch.setattr("server.report.build.second_opinion", lambda: None)


def simulate(home: Path, name: str, epsilon: float, seed: int) -> list[object]:
    recipe = ("--recipe", "lesions-3d", "--rounds", 1, "--pretrain", "none", "--count", 2)
    return ["simulate", home / name, "--cohorts", home / "cohorts", *recipe, "--epsilon", epsilon, "--seed", seed]


def test_the_run_that_would_cross_the_cap_is_refused_and_costs_nothing(tmp_path: Path) -> None:
    cohorts = lesion_cohorts(tmp_path / "cohorts")
    write_policy(cohorts / "west", f"max_epsilon = {CAP}\n")  # east allows 20
    assert willis(*simulate(tmp_path, "first", 2.0, seed=1)).status == 0
    first = snapshot(tmp_path / "first")

    sentence = willis(*simulate(tmp_path, "second", 4.0, seed=2)).sentence()
    figures = REFUSAL.fullmatch(sentence)
    assert figures, sentence
    after, before = map(int, figures.groups())
    assert 10 < before < 50 < 100 < after
    assert snapshot(tmp_path / "first") == first
    assert not (tmp_path / "second" / "checkpoints").exists()
    assert not (tmp_path / "second" / "dataset").exists()
    outboxes = (cohorts / "east" / ".willis" / "runs").glob("*/answer-*")
    assert len(list(outboxes)) == 1  # of the first run
    assert [type(e) for e in site_events(tmp_path / "second")] == [Reserve, Refuse, Settle]
    assert settled(tmp_path / "second") == {"east": 0}
    assert sentence.removeprefix("west refuses: ") in (tmp_path / "second" / "report" / "report.json").read_text()

    assert willis(*simulate(tmp_path, "third", 1.0, seed=3)).status == 0
    assert settled(tmp_path / "third") == {"east": 5, "west": 5}
    for event in site_events(tmp_path / "third"):
        if isinstance(event, Reserve):  # the refused run is not among what was spent before
            assert [(p.spending.steps, p.recipe) for p in event.past] == [(5, "lesions-3d")]


def site_events(run: Path) -> list[Reserve | Refuse | Settle]:
    folder = RunFolder(run)
    ledger = folder.home.open_ledger()
    ledger.close()
    mine = [s.event for s in ledger.events if isinstance(s.event, Reserve | Refuse | Settle)]
    return [event for event in mine if event.run == folder.plan().run]


def settled(run: Path) -> dict[str, int]:
    return {e.site: e.spending.steps for e in site_events(run) if isinstance(e, Settle)}
