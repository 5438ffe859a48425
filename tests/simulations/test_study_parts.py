"""What studies are made of: phantom hospitals, federations of their own, pairs, judging, noise."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from client.cohort import find_cohort
from shared.evaluation.bootstrap import Interval
from shared.evaluation.segmentation import build_network
from shared.evaluation.utility import Judge, Tissue
from shared.privacy.accounting import noise_multiplier_for
from shared.recipes.catalogue import catalogue, load
from shared.recipes.vessel_records import ROLES
from simulations.studies import kossen_ch4, kossen_ch5, kossen_ch6, papers, vessels_utility
from simulations.studies.cells import Done
from simulations.studies.cohorts import Hospitals, federate, phantoms
from simulations.studies.judging import scores, trained
from simulations.studies.noise import epsilon_at
from simulations.studies.pairs import Origin, pairs_of
from simulations.studies.rows import PUBLIC, Row, minus, spread_of
from simulations.studies.runs import DELTA, Training
from simulations.studies.vessels_utility import verdict
from tests.cohorts import vessel_cohorts

TINY = Hospitals(1, 2, 1, (32, 32, 12), second_learning=1, second_testing=1)


def silent(what: str, done: int, total: int) -> None:
    """Report nothing."""


def test_a_federation_of_its_own_reads_the_same_images_and_keeps_its_own_books(tmp_path: Path) -> None:
    shared = vessel_cohorts(tmp_path / "shared")
    for name in ("one", "two"):
        federate(shared, tmp_path / name, ROLES)
    for site in ("east", "west"):
        original = find_cohort(shared / site, ROLES)
        one, two = (find_cohort(tmp_path / name / site, ROLES) for name in ("one", "two"))
        assert one.ids == two.ids == original.ids
        for patient in original.ids:
            (ours,), (theirs,) = one.scans(patient), original.scans(patient)
            assert all(np.array_equal(ours.volumes[role], theirs.volumes[role]) for role in ROLES)
        assert not (tmp_path / "one" / site / ".willis").exists()


def test_phantoms_are_made_once_and_again_after_an_interruption(tmp_path: Path) -> None:
    plan = TINY.to_train(1)
    where = phantoms(tmp_path, "cohorts", plan, 1, silent)
    written = sorted((tmp_path / where).rglob("*.nii.gz"))
    assert len(written) >= 6
    stamps = [path.stat().st_mtime_ns for path in written]
    assert phantoms(tmp_path, "cohorts", plan, 1, silent) == where
    assert [path.stat().st_mtime_ns for path in written] == stamps
    (tmp_path / where).rename(tmp_path / f"{where}.part")  # as a writer that was killed leaves it
    assert phantoms(tmp_path, "cohorts", plan, 1, silent) == where
    assert sorted((tmp_path / where).rglob("*.nii.gz")) == written


def test_the_second_site_is_other_hospitals_and_test_patients_are_other_patients(tmp_path: Path) -> None:
    plans = [TINY.to_train(1), TINY.to_train(2), TINY.to_test(), TINY.second_site(to_test=True)]
    folders = [tmp_path / phantoms(tmp_path, "all", plan, 1, silent) for plan in plans]
    assert len(set(folders)) == 4
    assert [path.name for path in sorted(folders[3].iterdir())] == ["site-e", "site-f"]
    images = [path.read_bytes() for folder in folders for path in sorted(folder.rglob("*_angio.nii.gz"))]
    assert len(set(images)) == len(images)


@pytest.mark.parametrize("size", [(16, 16), (16, 16, 8)])
def test_real_and_public_pairs_have_the_number_and_size_asked_for(tmp_path: Path, size: tuple[int, ...]) -> None:
    vessel_cohorts(tmp_path / "cohorts")
    for origin in (Origin(kind="real", where="cohorts"), Origin(kind="public")):
        one, same, other = (pairs_of(tmp_path, origin, 7, size, seed) for seed in (1, 1, 2))
        assert one.shape == (7, 2, *size)
        assert one.min() >= -1
        assert one.max() <= 1
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)


def test_another_run_is_another_origin() -> None:
    """A result judged on pairs of one run must not stand for those of another with the same name."""
    first = Training(cohort="c", seed=1, pairs=8, variant="wgan", epsilon=8.0)
    second = first.model_copy(update={"epsilon": 3.0})
    origins = [Origin(kind="run", where="train-1", trained=training) for training in (first, second)]
    assert origins[0] != origins[1]


def test_pairs_without_vessels_teach_to_find_none_and_stop_nothing() -> None:
    judge = trained(np.full((4, 2, 16, 16), -1.0, np.float32), 1, 0)
    assert not (judge.network(torch.zeros(1, 1, 16, 16)) > 0).any()


def test_fine_tuning_leaves_the_network_it_starts_from_as_it_was() -> None:
    pairs = np.random.default_rng(0).uniform(-1, 1, (4, 2, 16, 16)).astype(np.float32)
    start = Judge(build_network(1), 4, (16, 16))
    before = {name: value.clone() for name, value in start.network.state_dict().items()}
    fine = trained(pairs, 2, 0, start)
    scratch = trained(pairs, 2, 0)
    assert all(torch.equal(value, before[name]) for name, value in start.network.state_dict().items())
    assert not torch.equal(next(fine.network.parameters()), next(scratch.network.parameters()))


def test_scores_are_seeds_by_patients_in_one_order() -> None:
    results = [
        {"tests": {"held-out": {"intracranial": {"b": [0.2, 4.0, 2.0], "a": [0.1, 3.0, 1.0]}}}},
        {"tests": {"held-out": {"intracranial": {"a": [0.3, 5.0, 1.5], "b": [0.4, 6.0, 2.5]}}}},
    ]
    dice = scores(results, "held-out", Tissue.INTRACRANIAL, "dice")
    assert dice.tolist() == [[0.1, 0.2], [0.3, 0.4]]
    assert scores(results, "held-out", Tissue.INTRACRANIAL, "bAHD").tolist() == [[1.0, 2.0], [1.5, 2.5]]
    found = minus(dice, dice - 0.25)
    assert found.estimate == pytest.approx(0.25)
    assert found.low == pytest.approx(0.25)


def test_a_measure_that_is_missing_in_one_seed_is_missing() -> None:
    done = [Done({"fid": value}, 0.0, "") for value in (1.0, 3.0)]
    spread = spread_of(done, "fid")
    assert spread is not None
    assert spread.mean == 2.0
    assert spread.sd == pytest.approx(2**0.5)
    assert spread_of([*done, Done({"fid": None}, 0.0, "")], "fid") is None


def test_a_run_asked_for_the_epsilon_of_a_noise_multiplier_has_that_noise() -> None:
    recipe = load("vessels-2d", "dp-wgan", "small")
    schedule = recipe.schedule
    epsilon = epsilon_at(0.65, recipe, 2)
    assert noise_multiplier_for(epsilon, DELTA, schedule.sampling_rate, 2 * schedule.steps) == 0.65


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(0.1, 0.05, 0.2), "yes"),
        (Interval(-0.1, -0.2, -0.05), "no, it is worse"),
        (Interval(0.1, -0.05, 0.2), "cannot be told"),
    ],
)
def test_only_private_rows_are_judged_and_only_an_interval_without_zero_decides(
    interval: Interval, words: str
) -> None:
    assert verdict(Row("k", "n", "v", 8.0), interval, seeds=3) == words
    assert verdict(Row("k", "n", "v", 8.0), interval, seeds=2) == "too few seeds to say"
    assert verdict(Row("k", "n", "v"), interval, seeds=3) == ""
    assert verdict(Row("k", "n", "dp-wgan", 8.0), interval, seeds=3) == ""  # unit: patch
    assert verdict(PUBLIC, None, seeds=3) == ""


@pytest.mark.parametrize("study", [vessels_utility, kossen_ch4, kossen_ch5, kossen_ch6])
@pytest.mark.parametrize("preset", ["small", "paper"])
def test_every_row_has_a_variant_there_is_and_a_name_of_its_own(study: ModuleType, preset: str) -> None:
    recipe, rows = study.SIZES[preset].recipe, study.rows(preset)
    assert len({row.key for row in rows}) == len({row.name for row in rows}) == len(rows)
    assert {row.variant for row in rows if row.variant} <= set(catalogue()[recipe])
    assert {row.key for row in rows[:2]} == {"real", "public"}


def test_the_papers_rows_are_rows_of_the_studies() -> None:
    rows = {row.key for row in kossen_ch4.rows("small")}
    assert set(papers.FID_2D) | set(papers.DICE_2D) <= rows
    rows = {row.key for row in kossen_ch5.rows("small")}
    assert all(set(printed) <= rows for printed in papers.DICE_3D.values())
