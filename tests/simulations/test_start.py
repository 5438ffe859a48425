"""A run that goes on from another's weights: it begins where that one ended, and is never published."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from server.run.folder import RunFolder
from tests.cohorts import lesion_cohorts
from tests.commands import Outcome, willis

LITTLE = ("--recipe", "lesions-3d", "--rounds", 1, "--set", "steps=1", "--set", "sampling_rate=1", "--seed", 3)
PRIVATE = ("--epsilon", 8)


def train(out: Path, cohorts: Path, *more: object) -> Outcome:
    return willis("simulate", out, "--cohorts", cohorts, *LITTLE, "--count", 2, *more)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two federations, a private run of the first and one without noise."""
    root = tmp_path_factory.mktemp("start")
    lesion_cohorts(root / "first")
    lesion_cohorts(root / "second", {"north": 3}, seed=50)
    for name, noise in (("private", PRIVATE), ("open", ("--unsafe-non-private",))):
        outcome = train(root / name, root / "first", "--pretrain", "none", *noise)
        assert outcome.status == 0, outcome
    return root


def test_it_begins_with_the_weights_the_other_ended_with_and_is_not_published(places: Path) -> None:
    outcome = train(places / "tuned", places / "second", "--start-from", places / "private", *PRIVATE)
    assert outcome.status == 0, outcome
    plan = RunFolder(places / "tuned").plan()
    assert plan.pretrained_on.startswith("given weights, SHA-256 ")
    before = load_file(places / "private" / "checkpoints" / "round-00001.safetensors")
    begun = load_file(places / "tuned" / "checkpoints" / "round-00000.safetensors")
    models = [name for name in before if name.startswith("model/")]
    assert models
    for name in models:
        assert np.array_equal(begun[name].numpy(), before[name].numpy()), name
    assert not (places / "tuned" / "dataset").exists()
    refused = willis("dataset", "publish", places / "tuned", places / "more", "--count", 1)
    assert "it began with another run's weights" in refused.sentence()


def test_weights_that_show_patients_go_to_no_private_run(places: Path) -> None:
    refused = train(places / "no", places / "second", "--start-from", places / "open", *PRIVATE)
    assert "would show its patients to other hospitals: it was trained without noise" in refused.sentence()
    assert not (places / "no").exists()
    by_name = train(places / "yes", places / "second", "--start-from", places / "open", "--unsafe-non-private")
    assert by_name.status == 0, by_name


def test_weights_of_another_variant_do_not_fit(places: Path) -> None:
    refused = willis(
        "simulate",
        places / "no",
        "--cohorts",
        places / "second",
        "--recipe",
        "vessels-2d",
        *PRIVATE,
        "--start-from",
        places / "private",
    )
    assert "recipe vessels-2d, variant private-calibrated, preset small is asked for" in refused.sentence()
    chain = willis(
        "simulate",
        places / "no",
        "--cohorts",
        places / "second",
        "--recipe",
        "stroke-dwi",
        *PRIVATE,
        "--start-from",
        places / "private",
    )
    assert chain.status == 2
    assert "is two runs" in str(chain.complained)


def test_the_report_does_not_call_given_weights_public(places: Path) -> None:
    train(places / "again", places / "second", "--start-from", places / "private", *PRIVATE)
    page = (places / "again" / "report" / "index.html").read_text()
    assert "FINE-TUNED" in page
    assert "whose cost to its patients is not counted here" in page
    assert "public, so it costs the patients nothing" not in page


def test_networks_of_another_size_are_refused_before_any_budget_is_set_aside(places: Path) -> None:
    sizes = iter(({"generator.0.weight": (3, 3)}, {}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simulations.start._shapes", lambda model: next(sizes))
        refused = train(places / "no", places / "second", "--start-from", places / "private", *PRIVATE)
    assert "its networks are of another size" in refused.sentence()
    assert not (places / "no").exists()


def test_weights_that_were_swapped_are_not_begun_with(places: Path) -> None:
    train(places / "swapped", places / "second", "--start-from", places / "private", *PRIVATE)
    folder = RunFolder(places / "swapped")
    for checkpoint in folder.checkpoints.glob("*"):
        checkpoint.unlink()
    folder.initial_file.write_bytes(b"others")
    assert "not the weights the run begins with" in willis("simulate", places / "swapped", "--resume").sentence()
