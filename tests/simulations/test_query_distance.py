"""Both groups are asked, each pays in its own ledger, and who belongs to which is what sites signed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.copies import Pool, ask, lesion_pool
from server.run.folder import RunFolder
from shared.errors import UsageError
from shared.evaluation.distance_answer import DistanceAnswer
from shared.ledger.events import Reserve
from shared.ledger.store import LedgerStore
from shared.phantoms.lesions import simulate_lesions
from shared.recipes.lesions_3d import LesionRecords
from tests.cohorts import lesion_cohorts
from tests.commands import willis

SHORT = ["--pretrain", "none", "--rounds", 1, "--set", "steps=1", "--count", 3]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a trained run, its cohorts, and other patients of the same hospitals."""
    root = tmp_path_factory.mktemp("distance")
    cohorts = lesion_cohorts(root / "cohorts")
    asked = ["--recipe", "lesions-3d", "--cohorts", cohorts, "--epsilon", 4, "--seed", 1, *SHORT]
    assert willis("simulate", root / "run", *asked).status == 0
    lesion_cohorts(root / "held-out", seed=100)
    for site in ("east", "west"):
        for patient in (root / "held-out" / site).glob("sub-*"):
            rename(patient, f"sub-1{patient.name[5:]}")
    return root


def rename(patient: Path, name: str) -> None:
    for path in sorted(patient.rglob("sub-*")):
        path.rename(path.with_name(path.name.replace(patient.name, name)))
    patient.rename(patient.with_name(name))


@pytest.fixture
def whole(trained: Path, tmp_path: Path) -> Path:
    """Return a copy of it, to spend in."""
    return copied(trained, tmp_path / "whole")


@pytest.fixture(scope="module")
def answered(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of it where both groups have answered."""
    root = copied(trained, tmp_path_factory.mktemp("answered") / "whole")
    outcome = willis(*words(root))
    assert outcome.status == 0, outcome
    return root


def copied(root: Path, to: Path) -> Path:
    shutil.copytree(root, to)
    (to / "run" / "federation.json").write_text(json.dumps({"federation": str(to / "cohorts" / ".federation")}))
    return to


def words(root: Path, **other: object) -> list[object]:
    given = {"of": root / "run", "cohorts": root / "cohorts", "held-out": root / "held-out"} | other
    options = [word for name, value in given.items() for word in (f"--{name}", value)]
    return ["query", "distance", root / "answer", *options, "--epsilon", 2, "--seed", 4]


def reserved(site: Path) -> list[Reserve]:
    store = LedgerStore(site / ".willis" / "ledger.sqlite", create=False)
    store.close()
    return [s.event for s in store.events if isinstance(s.event, Reserve)]


def test_both_groups_are_asked_and_pay_where_they_are(answered: Path) -> None:
    answer = DistanceAnswer.read(answered / "answer" / "answer.json")
    assert answer.words.startswith("SIMULATION (seeded noise): cannot tell")
    assert "not even copies of all of them would have been found" in answer.words  # six patients and six
    run = RunFolder(answered / "run").plan().run
    assert answer.runs == (run,)
    for site in ("east", "west"):
        training, query = reserved(answered / "cohorts" / site)
        assert (training.run, query.recipe) == (run, "query-distance")
        assert query.cohort == training.cohort
        assert [past.run for past in query.past] == [run]
        (alone,) = reserved(answered / "held-out" / site)
        assert not alone.past
    # Two sites of three patients: counts less a third, of clip norm √(2/3), over six patients.
    (mechanism,) = query.spending.mechanisms
    expected = mechanism.noise_multiplier * (2 / 3) ** 0.5 * 2**0.5 / 6  # type: ignore[union-attr]
    assert answer.trained.histogram.noise_std == pytest.approx(expected)
    assert answer.trained.cost.startswith("ε = 2.00 (δ = 1e-05; unit: patient; add/remove; PLD")
    assert answer.trained.if_planned > answer.held_out.if_planned == answer.held_out.cost


def test_the_noise_on_the_two_groups_is_not_the_same(whole: Path) -> None:
    shutil.rmtree(whole / "held-out")
    shutil.copytree(whole / "cohorts", whole / "held-out", ignore=shutil.ignore_patterns(".willis", ".federation"))
    for site in ("east", "west"):
        for patient in (whole / "held-out" / site).glob("sub-*"):
            rename(patient, f"sub-9{patient.name[5:]}")
    assert willis(*words(whole)).status == 0
    answer = DistanceAnswer.read(whole / "answer" / "answer.json")
    assert answer.trained.histogram.shares != answer.held_out.histogram.shares


def test_who_was_trained_on_is_not_held_out(whole: Path) -> None:
    assert (
        "sub-001 was trained on; hold out other patients"
        in willis(*words(whole, **{"held-out": whole / "cohorts"})).sentence()
    )
    assert len(reserved(whole / "cohorts" / "east")) == 1


def test_patients_nobody_trained_on_are_not_asked_as_trained_on(whole: Path) -> None:
    sentence = willis(*words(whole, cohorts=whole / "held-out", **{"held-out": whole / "cohorts"})).sentence()
    assert "the patients of east are not those that run" in sentence
    shutil.rmtree(whole / "cohorts" / "west")
    assert "was trained at east, west; ask exactly these, not east" in willis(*words(whole)).sentence()
    assert not (whole / "answer").exists()


def test_answers_of_groups_exchanged_are_not_compared(answered: Path) -> None:
    trained, held_out = answered / "answer" / "trained", answered / "answer" / "held-out"
    compare = ["query", "compare", answered / "again.json", "--of", answered / "run"]
    assert willis(*compare, "--trained", trained, "--held-out", held_out).status == 0
    assert (answered / "again.json").read_bytes() == (answered / "answer" / "answer.json").read_bytes()
    exchanged = willis(*compare, "--trained", held_out, "--held-out", trained).sentence()
    assert "are not those that run" in exchanged
    twice = willis(*compare, "--trained", trained, "--held-out", trained).sentence()
    assert "(lesions-3d) on these patients; hold out others" in twice


def test_answers_about_another_data_set_are_not_compared(answered: Path) -> None:
    publish = ["dataset", "publish", answered / "run", answered / "other", "--count", 4, "--publish-anyway"]
    assert willis(*publish).status == 0
    compare = ["query", "compare", answered / "again.json", "--of", answered / "other", "--run", answered / "run"]
    groups = ["--trained", answered / "answer" / "trained", "--held-out", answered / "answer" / "held-out"]
    assert "asked about another data set" in willis(*compare, *groups).sentence()


def test_a_data_set_far_from_its_run_needs_the_run_named(whole: Path) -> None:
    apart = shutil.copytree(whole / "run" / "dataset", whole / "deep" / "in" / "elsewhere")
    assert "name the run that drew it with --run RUN" in willis(*words(whole, of=apart)).sentence()
    (apart / "README.md").write_text("other words")
    sentence = willis(*words(whole, of=apart, run=whole / "run")).sentence()
    assert "not as it was sealed (README.md was changed)" in sentence


def test_a_damaged_answer_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text('{"manifest": ""}')
    with pytest.raises(UsageError, match="compare the two queries again"):
        DistanceAnswer.read(tmp_path / "answer.json")


@pytest.fixture(scope="module")
def pool() -> Pool:
    masks = simulate_lesions(80, np.random.default_rng(9))
    return lesion_pool([LesionRecords(torch.from_numpy(mask)[None, None]) for mask in masks])


def test_a_generator_that_memorises_is_found(pool: Pool) -> None:
    assert all(ask(pool, 80, 0.5, 4.0, seed).verdict == "failed" for seed in range(4))


def test_a_generator_that_does_not_is_not_accused(pool: Pool) -> None:
    assert all(ask(pool, 80, 0.0, 4.0, seed).verdict != "failed" for seed in range(4))


def test_without_budget_nobody_can_tell(pool: Pool) -> None:
    found = [ask(pool, 10, 1.0, 0.5, seed) for seed in range(4)]
    assert {(one.verdict, one.detectable) for one in found} == {("cannot tell", None)}
