"""The stroke study's own decisions: what private runs cost together, who is chosen, what findings are called."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from shared.errors import CohortError
from shared.evaluation.bootstrap import Interval
from shared.evaluation.lesion_segmentation import MIN_VOXELS, can_teach
from shared.imaging.scan import Role, Scan
from shared.privacy.accounting import cost, noise_multiplier_for
from shared.privacy.events import SampledGaussian, Spending, Unit
from shared.recipes.catalogue import load
from shared.recipes.settings import Setting
from shared.recipes.translator_recipe import TranslatorRecipe
from simulations.hospitals.cohort import Plan, write_cohorts
from simulations.studies import platscher
from simulations.studies.platscher_tables import drawn_lesions, held
from simulations.studies.rows import PUBLIC
from simulations.studies.runs import DELTA
from simulations.studies.stroke_drawing import draw, drawn
from simulations.studies.stroke_judging import teaching
from simulations.studies.stroke_looks import slices


def spending(recipe: str, variant: str, epsilon: float, rounds: int | None, draws: dict[str, Setting]) -> Spending:
    """Return what a run of the small preset that may cost `epsilon` does."""
    schedule = load(recipe, variant, "small", settings=draws).schedule
    steps = (rounds or schedule.rounds) * schedule.steps
    sigma = noise_multiplier_for(epsilon, DELTA, schedule.sampling_rate, steps)
    mechanism = SampledGaussian(noise_multiplier=sigma, sampling_rate=schedule.sampling_rate, steps=steps)
    return Spending.of(mechanism, unit=Unit.PATIENT)


def test_both_private_runs_together_cost_what_the_row_says() -> None:
    translator, lesions = platscher.ROUNDS["small"]
    both = [
        spending("translate-2d", "pix2pix", platscher.SHARES[0], translator, platscher.PRIVATE_DRAWS["small"]),
        spending(platscher.LESIONS, "wgan-gp", platscher.SHARES[1], lesions, platscher.LESION_DRAWS["small"]),
    ]
    assert 0.9 * platscher.JOINT < cost(both, DELTA).epsilon <= platscher.JOINT


def test_private_rows_train_on_two_hundred_patients_of_four_sites() -> None:
    for preset, sizes in platscher.SIZES.items():
        assert sizes.hospitals.sites == 4
        assert sizes.hospitals.sites * sizes.hospitals.patients >= 200
        assert [row.epsilon for row in platscher.rows(preset)] == [None] * 4 + [platscher.JOINT]


def test_a_public_translator_is_judged_where_runs_begin_with_one() -> None:
    small, paper = platscher.SIZES["small"], platscher.SIZES["paper"]
    assert platscher._pretrained(small) == (platscher.PRETRAINED,)
    assert platscher._pretrained(paper) == ()
    ours, runs = (platscher._drawing(row, None, 1, small) for row in (platscher.PRETRAINED, PUBLIC))
    assert ours.pretrained is not None
    assert "pretrained" not in runs.model_dump()  # so that cells from before there was one keep their digests


def test_a_public_translator_draws_public_phantoms_as_pre_training_left_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taught: list[nn.ModuleDict] = []
    monkeypatch.setattr(TranslatorRecipe, "pretrain", lambda recipe, model, seed, progress: taught.append(model))
    drawing = platscher._drawing(platscher.PRETRAINED, None, 1, replace(platscher.SIZES["small"], pairs=1))
    assert draw(tmp_path, drawing.cell("case")) == {"cases": 1}
    (model,), (case,) = taught, drawn(tmp_path, "case")
    (expected,) = load("translate-2d", "pix2pix", "small").sample(model, 1, 1)
    for role in (Role.ANATOMY, Role.LESION, Role.DWI):
        assert np.allclose(case.volumes[role], expected.volumes[role], atol=1e-3)  # kept in 16 bits
    assert case.volumes[Role.LESION].sum() >= MIN_VOXELS


def test_fewer_patients_are_among_more_and_each_has_lesion_enough(tmp_path: Path) -> None:
    write_cohorts(Plan("dwi", 1, 6, 1, (64, 64, 16)), tmp_path)
    one, same, other = (teaching(tmp_path, seed) for seed in (1, 1, 2))
    assert 0 < len(one) < 6
    assert all(can_teach(case) for own in one for case in own)
    assert all(
        np.array_equal(a, b)
        for mine, yours in zip(one, same, strict=True)
        for a, b in zip(mine, yours, strict=True)
    )
    assert sorted(float(own[0].sum()) for own in one) == sorted(float(own[0].sum()) for own in other)


def test_a_cohort_without_lesions_cannot_teach(tmp_path: Path) -> None:
    write_cohorts(Plan("dwi", 1, 1, 1, (16, 16, 4)), tmp_path)
    with pytest.raises(CohortError, match="no patient has enough lesion"):
        teaching(tmp_path, 1)


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (Interval(0.1, 0.02, 0.2), "yes"),
        (Interval(-0.1, -0.2, -0.02), "no"),
        (Interval(0.1, -0.02, 0.2), "cannot be told; the estimate says yes"),
        (Interval(-0.1, -0.2, 0.02), "cannot be told; the estimate says no"),
    ],
)
def test_a_claim_holds_if_its_interval_says_so(gain: Interval, words: str) -> None:
    assert held(gain) == words


def test_a_translator_fails_if_its_lesions_do_not_stand_out() -> None:
    assert drawn_lesions(-0.2) == drawn_lesions(0.05) == "fails to draw lesions"
    assert drawn_lesions(0.3) == "draws lesions faintly"
    assert drawn_lesions(0.9) == drawn_lesions(1.4) == "draws lesions"


def test_slices_are_those_with_most_lesion_of_the_larger_half() -> None:
    scans = []
    for size in (0, 1, 2, 3):
        volume = np.zeros((8, 8, 4), np.float32)
        lesion = volume.copy()
        lesion[:size, 0, 2] = 1
        scans.append(Scan({Role.DWI: volume, Role.ANATOMY: volume + 2, Role.LESION: lesion}, np.eye(4)))
    images, maps = slices(scans)
    assert images.shape == maps.shape == (2, 2, 8, 8)
    assert [int((label > 0).sum()) for label in images[:, 1]] == [2, 3]
    assert np.array_equal(images[:, 1], maps[:, 1])
