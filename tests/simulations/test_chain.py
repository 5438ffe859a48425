"""Two runs under one budget: the data set claims what both cost, and any interruption leads to the same bytes."""

import json
import math
import shutil
from pathlib import Path

import pytest

from client.site import Site
from server.dataset.gate.checks import BRIGHT
from server.dataset.gate.reading import check_files
from server.ledger.home import Home
from server.run.coordinator import Extent
from server.run.folder import RunFolder
from shared.imaging import nifti
from shared.imaging.case_names import case_file, stem
from shared.imaging.scan import Role
from shared.ledger.view import view
from shared.privacy.accounting import cost
from shared.privacy.joint_budget import NEAR
from shared.recipes.slice_records import ROLES
from simulations import chain as chaining
from simulations.engines import Engine
from simulations.federation import HOME, conduct_run
from tests.cohorts import add_stroke_patient, snapshot, write_policy
from tests.commands import Outcome, willis

EPSILON, DELTA = 6.0, 1e-5
UNSAMPLED = ("--set", "lesions.sampling_rate=1", "--set", "translator.sampling_rate=1")  # priced fastest
ONE_STEP = ("--rounds", 1, "--set", "lesions.steps=1", "--set", "translator.steps=1")
BEFORE = {"nothing": 0, "the second reservation": 1, "training": 2, "the second run": 3, "publication": 4}
LITTLE = (*ONE_STEP, *UNSAMPLED, "--pretrain", "none", "--count", 2, "--seed", 5)


def leave_out_what_is_not_at_stake(patch: pytest.MonkeyPatch) -> None:
    """Do without the second accountant, which is slow, and let cases of untrained networks through the gate."""
    patch.setattr("server.report.build.second_opinion", lambda: None)
    patch.setattr("server.audit.steps.second_opinion", lambda: None)
    patch.setattr("server.dataset.publication.check_files", lambda folder, cases: ())


@pytest.fixture(autouse=True)
def _not_at_stake(monkeypatch: pytest.MonkeyPatch) -> None:
    leave_out_what_is_not_at_stake(monkeypatch)


@pytest.fixture(scope="module")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sites whose keys are made, so that copies of them are the same sites."""
    root = tmp_path_factory.mktemp("federation") / "cohorts"
    for number in range(6):
        site = root / ("east", "west")[number % 2]
        add_stroke_patient(site, f"sub-{number:03d}", seed=number)
        write_policy(site)
    for name in ("east", "west"):
        hospital = Site(root / name)
        hospital.enrol(hospital.cohort(ROLES))
    Home(root / HOME).found(DELTA, 1)
    return root


class Killed(Exception):
    """No foreseen error: as if the process had ended there."""


def chain(home: Path, cohorts: Path, *more: object) -> Outcome:
    """Start a chain at `home` with a copy of the cohorts."""
    mine = shutil.copytree(cohorts, home / "cohorts")
    return willis("simulate", home / "out", "--recipe", "stroke-dwi", "--cohorts", mine, *LITTLE, *more)


@pytest.fixture(scope="module")
def undisturbed(cohorts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        leave_out_what_is_not_at_stake(patch)
        outcome = chain(home, cohorts, "--epsilon", EPSILON)
    assert outcome.status == 0, outcome
    return home / "out"


@pytest.mark.slow
def test_the_data_set_claims_the_joint_cost_of_both_runs(undisturbed: Path) -> None:
    folder = RunFolder(undisturbed / "translator")
    ledger = folder.home.open_ledger()
    ledger.close()
    plans = [RunFolder(undisturbed / name).plan() for name in ("lesions", "translator")]
    joint = cost([plan.spending for plan in plans], DELTA).epsilon
    assert (1 - NEAR) * EPSILON <= joint <= EPSILON
    about = json.loads((undisturbed / "dataset" / "dataset_description.json").read_text())
    claims = about["DifferentialPrivacy"]
    assert set(claims["if_planned"]["sites"]) == {"east", "west"}
    for claim in claims["if_planned"]["sites"].values():
        assert claim["epsilon"] == pytest.approx(joint)
    guaranteed = [claims["maximum"], *claims["sites"].values()]  # both were reserved before either ran
    assert [claim["epsilon"] for claim in guaranteed] == [pytest.approx(joint)] * 3
    reserves = [view(ledger.events, plans[1].run).reserves[site] for site in ("east", "west")]
    assert all(past.unseen for reserve in reserves for past in reserve.past)
    assert willis("audit", "verify", undisturbed / "translator", "--dataset", undisturbed / "dataset").status == 0
    assert (
        str(cost([plan.spending for plan in plans], DELTA)) in (undisturbed / "dataset" / "README.md").read_text()
    )
    report = json.loads((undisturbed / "translator" / "report" / "report.json").read_text())
    level = report["federation"]["levels"][0]["if_planned"]["cost"]["pld"]
    assert level["epsilon"] == pytest.approx(joint)
    assert [r.kind for r in view(ledger.events, plans[1].run).releases] == ["simulation"]
    assert not view(ledger.events, plans[0].run).releases


@pytest.mark.slow
def test_cases_are_coherent_and_the_card_says_how_they_were_made(undisturbed: Path) -> None:
    dataset = undisturbed / "dataset"
    card = (dataset / "README.md").read_text()
    assert RunFolder(undisturbed / "lesions").plan().run[:12] in card
    assert RunFolder(undisturbed / "translator").plan().run[:12] in card
    assert "maps of public phantoms" in card
    for number in (1, 2):
        name = f"sub-syn{number:04d}"
        volumes = {role: nifti.read(dataset / case_file(name, role, ROLES))[0] for role in ROLES}
        lesion = volumes[Role.LESION] > 0
        assert lesion.any()
        assert (volumes[Role.ANATOMY][lesion] > 0).all()
        outside = ~volumes[Role.ANATOMY].any(axis=(0, 1))
        assert not volumes[Role.DWI][:, :, outside].any()


@pytest.mark.slow
@pytest.mark.parametrize("place", BEFORE)
def test_an_interrupted_chain_is_resumed_to_the_same_bytes(
    place: str, undisturbed: Path, cohorts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def killed(out: Path, engine: Engine, *extent: Extent) -> None:
        if len(steps) == BEFORE[place]:
            raise Killed
        steps.append(out.name)
        conduct_run(out, engine, *extent)

    def never(out: Path) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(chaining, "conduct_run", killed)
        patch.setattr(chaining, "finish", never)
        with pytest.raises(Killed):
            chain(tmp_path, cohorts, "--epsilon", EPSILON)
    assert not (tmp_path / "out" / "dataset").exists()
    assert willis("simulate", tmp_path / "out", "--resume").status == 0
    mine, theirs = (
        {path.relative_to(out): data for path, data in snapshot(out / "dataset").items()}
        for out in (tmp_path / "out", undisturbed)
    )
    assert mine == theirs != {}


@pytest.mark.slow
def test_what_untrained_networks_draw_is_shut_out_and_the_run_ends_well(
    cohorts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.dataset.publication.check_files", check_files)
    outcome = chain(tmp_path, cohorts, "--epsilon", EPSILON)
    assert outcome.status == 0
    assert not (tmp_path / "out" / "dataset").exists()
    assert any("data set  none: the release gate refuses it" in line for line in outcome.said)
    assert any(line.strip().startswith(BRIGHT) for line in outcome.said)


@pytest.mark.slow
def test_a_cap_that_holds_one_run_stops_both_before_anything_is_spent(cohorts: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(cohorts, tmp_path / "home" / "cohorts")
    write_policy(mine / "west", "max_epsilon = 5.0\n")
    outcome = chain(tmp_path, mine, "--epsilon", EPSILON)
    sentence = outcome.sentence()
    assert "west refuses: this run would cost the cohort" in sentence
    assert "nothing was trained or spent" in sentence
    out = tmp_path / "out"
    assert not any(out.rglob("round-*.safetensors"))
    ledger = RunFolder(out / "lesions").home.open_ledger()
    ledger.close()
    first = view(ledger.events, RunFolder(out / "lesions").plan().run)
    assert {site: first.spent(site).steps for site in first.reserves} == {"east": 0, "west": 0}
    write_policy(tmp_path / "cohorts" / "west", "max_epsilon = 20.0\n")
    assert willis("simulate", out, "--resume").status == 0
    assert willis("audit", "verify", out / "translator", "--dataset", out / "dataset").status == 0


@pytest.mark.slow
def test_with_patients_at_several_sites_the_second_run_comes_later(cohorts: Path, tmp_path: Path) -> None:
    """Its price together with the first's would not hold for a patient at both sites."""
    mine = shutil.copytree(cohorts, tmp_path / "home" / "cohorts", ignore=shutil.ignore_patterns(HOME))
    outcome = chain(tmp_path, mine, "--epsilon", EPSILON, "--overlap", 2)
    assert outcome.status == 0, outcome
    seen = RunFolder(tmp_path / "out" / "translator")
    ledger = seen.home.open_ledger()
    ledger.close()
    reserves = view(ledger.events, seen.plan().run).reserves
    assert reserves
    assert not any(past.unseen for reserve in reserves.values() for past in reserve.past)


@pytest.fixture(scope="module")
def without_noise(cohorts: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    home = tmp_path_factory.mktemp("without")
    return home / "out", chain(home, cohorts, "--unsafe-non-private")


def test_a_chain_without_noise_publishes_nothing_and_can_be_looked_at(
    without_noise: tuple[Path, Outcome], tmp_path: Path
) -> None:
    out, outcome = without_noise
    assert outcome.status == 0, outcome
    assert not any(out.rglob("dataset"))
    assert f"willis sample {out} SAMPLES --count 50 --unsafe-non-private" in " ".join(outcome.said)
    assert "say --unsafe-non-private" in willis("sample", out, tmp_path / "more", "--count", 1).sentence()
    assert willis("sample", out, tmp_path / "more", "--count", 1, "--unsafe-non-private").status == 0
    names = {path.name for path in (tmp_path / "more" / "sub-unsafe0001" / "dwi").iterdir()}
    assert names == {f"sub-unsafe0001_{stem(role)}.nii.gz" for role in ROLES}


REFUSED = {
    "steps=1": "stroke-dwi is two runs; say lesions.NAME=VALUE or translator.NAME=VALUE",
    "generator.steps=1": "--set generator.steps=1: stroke-dwi is two runs",
    "lesions.=1": "--set lesions.=1: stroke-dwi is two runs",
    "translator.stepz=1": "setting stepz = 1: Extra inputs are not permitted; there are: steps=",
    "lesions.reconstruction=1": "setting reconstruction = 1: Extra inputs",
}


@pytest.mark.parametrize("given", REFUSED)
def test_a_setting_that_is_neither_runs_is_refused_before_anything_is_written(
    given: str, cohorts: Path, tmp_path: Path
) -> None:
    asked = ("--recipe", "stroke-dwi", "--cohorts", cohorts, "--unsafe-non-private", "--set", given)
    assert REFUSED[given] in willis("simulate", tmp_path / "out", *asked).sentence()
    assert not (tmp_path / "out").exists()


def test_noise_is_a_choice_made_by_name_and_a_finite_one(cohorts: Path, tmp_path: Path) -> None:
    asked = ("simulate", tmp_path / "out", "--recipe", "stroke-dwi", "--cohorts", cohorts)
    assert "give either --epsilon or --unsafe-non-private" in willis(*asked).sentence()
    assert "--epsilon inf" in willis(*asked, "--epsilon", math.inf).sentence()
    assert not (tmp_path / "out").exists()


def test_a_cohort_without_images_is_refused_before_the_lesion_run(cohorts: Path, tmp_path: Path) -> None:
    mine = shutil.copytree(cohorts, tmp_path / "cohorts")
    for path in mine.glob(f"east/*/**/*_{Role.DWI.value}.nii.gz"):
        path.unlink()
    asked = ("--recipe", "stroke-dwi", "--cohorts", mine, *LITTLE, "--unsafe-non-private")
    assert "dwi" in willis("simulate", tmp_path / "out", *asked).sentence()
    assert not (tmp_path / "out").exists()


def test_a_damaged_description_of_the_chain_is_named(tmp_path: Path) -> None:
    (tmp_path / "chain.json").write_text('{"cohorts": "x"')
    sentence = willis("simulate", tmp_path, "--resume").sentence()
    assert sentence == f"{tmp_path / 'chain.json'}: damaged; restore it, it says what was asked"
