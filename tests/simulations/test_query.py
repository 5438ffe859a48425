"""A query comes back noised, is charged like a run, and its un-noised value is nowhere."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from shared.errors import PublicationRefused
from shared.imaging import nifti
from shared.imaging.case_names import stem
from shared.imaging.scan import Role
from shared.ledger.events import Reserve
from shared.ledger.store import LedgerStore
from shared.recipes.catalogue import load
from tests.cohorts import vessel_cohorts
from tests.commands import willis


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return samples of 64 x 64 patches, as `willis dataset publish` writes them."""
    folder = tmp_path_factory.mktemp("samples")
    rng = np.random.default_rng(3)
    for number in range(4):
        name = f"sub-syn{number:04d}"
        image = rng.random((64, 64, 1), dtype=np.float32)
        for role, voxels in ((Role.ANGIO, image), (Role.VESSELS, (image > 0.9).astype(np.float32))):
            path = folder / name / "anat" / f"{name}_{stem(role)}.nii.gz"
            nifti.write(path, voxels, np.eye(4))
    return folder


def test_an_answer_is_noised_reserved_and_charged(published: Path, tmp_path: Path) -> None:
    cohorts = vessel_cohorts(tmp_path / "cohorts")
    asked = ["--of", published, "--cohorts", cohorts, "--epsilon", 2, "--steps", 1, "--seed", 4]
    outcome = willis("query", "dice", tmp_path / "answer", *asked)
    assert outcome.status == 0, outcome
    assert re.search(r"Dice -?\d\.\d{3}, noise ± 0\.\d{3}", outcome.said[1]), outcome.said
    answer = json.loads((tmp_path / "answer" / "answer.json").read_text())
    assert answer["patients"] == 6
    assert answer["cost_alone_if_planned"].startswith("ε = 2.00 (δ = 1e-05; unit: patient; add/remove; PLD")
    # Two sites of three patients: each sum of (score - 1/2) carries noise of σ/2, and the mean divides by six.
    sigma = reserved(cohorts / "east").spending.mechanisms[0].noise_multiplier  # type: ignore[union-attr]
    assert answer["noise_standard_deviation"] == pytest.approx(sigma * 0.5 * 2**0.5 / 6)
    assert not (tmp_path / "answer" / "dataset").exists()


def reserved(site: Path) -> Reserve:
    store = LedgerStore(site / ".willis" / "ledger.sqlite", create=False)
    store.close()
    (event,) = (s.event for s in store.events if isinstance(s.event, Reserve))
    return event


def test_a_site_answers_only_the_queries_it_allows(published: Path, tmp_path: Path) -> None:
    cohorts = vessel_cohorts(tmp_path / "cohorts")
    with (cohorts / "west" / "policy.toml").open("a") as file:
        file.write('queries = ["query-volume"]\n')
    asked = ["--of", published, "--cohorts", cohorts, "--epsilon", 2, "--steps", 1, "--seed", 4]
    sentence = willis("query", "dice", tmp_path / "answer", *asked).sentence()
    assert "west says the site's policy does not allow this" in sentence
    assert "query-dice is not among those allowed: query-volume" in (cohorts / "west/.willis/site.log").read_text()
    assert not (tmp_path / "answer" / "answer.json").exists()


def test_a_query_cannot_be_run_as_a_simulation(tmp_path: Path) -> None:
    cohorts = vessel_cohorts(tmp_path / "cohorts")
    asked = ["--recipe", "query-dice", "--cohorts", cohorts, "--epsilon", 2]
    assert "use `willis query`" in willis("simulate", tmp_path / "run", *asked).sentence()


def test_patches_of_another_size_are_refused_before_anything_is_reserved(published: Path, tmp_path: Path) -> None:
    cohorts = vessel_cohorts(tmp_path / "cohorts")
    asked = ["--of", published, "--cohorts", cohorts, "--epsilon", 2, "--preset", "paper"]
    assert (
        "patches of 64 voxels; those of patients have 96"
        in willis("query", "dice", tmp_path / "answer", *asked).sentence()
    )
    assert not (cohorts / ".federation").exists()


def test_a_query_has_no_images(tmp_path: Path) -> None:
    recipe = load("query-dice", None, "small")
    with pytest.raises(PublicationRefused, match=r"answer\.json"):
        recipe.sample(recipe.build(1), 1, 1)
