"""Queries across hospitals: asked by the coordinator's commands, of those trained on and of those held out."""

import json
import subprocess
from collections.abc import Iterator

import pytest

from shared.evaluation.distance_answer import DistanceAnswer
from tests.cohorts import lesion_cohorts
from tests.deploy.hospitals import POLICY, WILLIS, Federation, federation

pytestmark = pytest.mark.deploy
TRAINED, HELD_OUT = ["east", "west"], ["east-held-out", "west-held-out"]
TRAINING = ["--recipe", "lesions-3d", "--rounds", 1, "--pretrain", "none", "--set", "steps=1", "--epsilon", 4]
SETTINGS = "arrival_seconds = 90.0\nanswer_seconds = 120.0\nround_seconds = 400.0\ngrace_seconds = 45.0\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    root = tmp_path_factory.mktemp("queries")
    lesion_cohorts(root / "cohorts", dict.fromkeys(TRAINED, 3))
    lesion_cohorts(root / "cohorts", dict.fromkeys(HELD_OUT, 3), seed=100)
    with federation(root, root / "cohorts", settings=SETTINGS) as fed:
        for site in fed.sites:
            held_out = "held_out = true\n" if site.name in HELD_OUT else ""
            (site.home / "policy.toml").write_text(POLICY + held_out)
        for place in (fed.centre, *fed.sites):
            place.up()
        yield fed


def among(sites: list[str], option: str = "--among") -> list[str]:
    return [word for site in sites for word in (option, site)]


def test_a_data_set_is_trained_asked_about_and_judged(whole: Federation) -> None:
    centre = whole.centre
    refused = centre.willis("run", "wrong", *TRAINING, *among(HELD_OUT), status=1)
    assert "the site's policy does not allow this" in refused  # nobody trains on those held out
    centre.willis("run", "first", *TRAINING, "--count", 3, "--seed", 1, *among(TRAINED))
    run = centre.home / "runs" / "first"
    data = whole.root / "data"
    publish = [*WILLIS, "dataset", "publish", run, data, "--count", "3", "--publish-anyway"]
    subprocess.run([str(word) for word in publish], check=True, capture_output=True)
    ask = ["--of", data, "--run", run, "--epsilon", 1, "--seed", 2]
    others = centre.willis("query", "distance", "others", *ask, *among(HELD_OUT, "--held-out"))
    near = centre.willis("query", "distance", "near", *ask)
    for said in (others, near):
        assert "ε = 1.00 (δ = 1e-05; unit: patient; add/remove; PLD" in said
    compare = [*WILLIS, "query", "compare", whole.root / "answer.json", "--of", data, "--run", run]
    compare += ["--trained", run.with_name("near"), "--held-out", run.with_name("others")]
    subprocess.run([str(word) for word in compare], check=True, capture_output=True)
    answer = DistanceAnswer.read(whole.root / "answer.json")
    assert (answer.trained.sites, answer.held_out.sites) == (tuple(TRAINED), tuple(HELD_OUT))
    assert answer.finding.verdict == "cannot tell"  # of six patients and six
    check_paid(whole)


def check_paid(whole: Federation) -> None:
    """Hospitals see what they answered and what it cost, and the centre's ledger verifies."""
    for name in (*TRAINED, *HELD_OUT):
        said = whole.site(name).willis("status")
        assert "query-distance lesions-3d, settled" in " ".join(said.split())
        assert ("lesions-3d wgan-gp" in said) == (name in TRAINED)
    near = whole.centre.home / "runs" / "near"
    assert (
        subprocess.run([*WILLIS, "audit", "verify", str(near)], check=False, capture_output=True).returncode == 0
    )
    assert json.loads((near / "answer.json").read_text())["sites"] == TRAINED
    whole.site("east").home.joinpath("policy.toml").write_text(POLICY + 'queries = ["query-dice"]\n')
    words = ["--of", whole.root / "data", "--run", near.with_name("first"), "--epsilon", 1, "--quorum", 2]
    assert "the site's policy does not allow this" in whole.centre.willis(
        "query", "distance", "more", *words, status=1
    )
