"""The vessel GANs have the papers' schedules at paper size, and make cases as their patients' records are."""

from pathlib import Path

import numpy as np
import pytest
import torch

from client.app import records_of
from shared.imaging.scan import Role
from shared.recipes.vessel_gans import GanSchedule, VesselGanRecipe
from tests.cohorts import site_for
from tests.recipes.subject import named


def paper(name: str) -> GanSchedule:
    schedule = named(name, "paper").schedule
    assert isinstance(schedule, GanSchedule)
    return schedule


@pytest.mark.parametrize(
    ("name", "patients", "batch", "patches", "epochs", "critic_steps", "rates", "betas"),
    [
        ("vessels-2d dcgan", 41, 512, 1000, 178, 1, (3e-4, 3e-4), (0.5, 0.999)),
        ("vessels-2d wgan-gp", 41, 128, 1000, 194, 5, (1e-4, 1e-4), (0.0, 0.9)),
        ("vessels-2d wgan-gp-sn", 41, 64, 1000, 157, 5, (1e-4, 1e-4), (0.0, 0.9)),
        ("vessels-3d gp", 47, 4, 50, 100, 1, (4e-4, 2e-4), (0.0, 0.9)),
        ("vessels-3d c-sn-mp", 47, 4, 50, 100, 1, (4e-4, 2e-4), (0.0, 0.9)),
    ],
)
def test_paper_size_has_the_papers_batches_epochs_and_rates(
    name: str,
    patients: int,
    batch: int,
    patches: int,
    epochs: int,
    critic_steps: int,
    rates: tuple[float, float],
    betas: tuple[float, float],
) -> None:
    one = paper(name)
    assert one.sampling_rate * patients * one.records == pytest.approx(batch, rel=0.05)
    assert one.generator_batch == batch
    assert one.rounds * batch == pytest.approx(epochs * patients * patches, rel=0.001)
    assert one.steps == critic_steps
    assert one.generator_steps == 1
    assert (one.critic_rate, one.generator_rate) == rates
    assert (one.momentum, one.second_momentum) == betas
    assert one.penalty == (0 if name.endswith("dcgan") else 10)
    assert named(name, "paper").pretraining == ""


@pytest.mark.parametrize("preset", ["small", "paper"])
@pytest.mark.parametrize(("variant", "mixed"), [("gp", False), ("sn", False), ("sn-mp", True), ("c-sn-mp", True)])
def test_mixed_precision_is_on_where_the_variant_is_named_for_it(variant: str, mixed: bool, preset: str) -> None:
    recipe = named(f"vessels-3d {variant}", preset)
    assert isinstance(recipe, VesselGanRecipe)
    assert recipe.schedule.mixed_precision is mixed
    assert recipe.objective.mixed_precision is mixed


@pytest.mark.parametrize("name", ["vessels-2d wgan-gp", "vessels-2d dcgan", "vessels-3d private"])
def test_cases_have_the_shape_of_the_records_they_are_learnt_from(name: str, tmp_path: Path) -> None:
    recipe = named(name)
    site = site_for(recipe.roles, tmp_path / "east", 1)
    records_of.cache_clear()
    (patient,) = records_of(site, recipe.name, recipe.variant, "small", 0).values()
    record = patient.draw(2, torch.Generator().manual_seed(0))[0]
    scans = list(recipe.sample(recipe.build(0), 5, 0))
    assert len(scans) == 5
    for scan in scans:
        assert scan.shape == (*record.shape[1:], 1)[:3]
        image, label = scan.volumes[Role.ANGIO], scan.volumes[Role.VESSELS]
        assert 0 <= image.min() <= image.max() <= 1
        assert set(np.unique(label)) <= {0.0, 1.0}
        assert image.dtype == label.dtype == np.float32


@pytest.mark.parametrize("name", ["vessels-2d wgan-gp-sn", "vessels-3d sn-mp"])
def test_pre_training_moves_both_networks_and_repeats(name: str) -> None:
    recipe = named(name, settings={"pretraining_steps": 1, "generator_batch": 2})
    assert isinstance(recipe, VesselGanRecipe)
    recipe.phantoms = 2  # type: ignore[misc]  # fewer than the class has, for a fast test
    states = []
    for _ in range(2):
        model = recipe.build(0)
        before = {key: value.clone() for key, value in model.state_dict().items()}
        recipe.pretrain(model, 1, lambda *args: None)
        states.append(model.state_dict())
        moved = {key.split(".")[0] for key, value in before.items() if not torch.equal(value, states[-1][key])}
        assert moved == {"generator", "critic", "smoothed"}
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert all(bool(torch.isfinite(value).all()) for value in states[0].values())


@pytest.mark.parametrize(
    ("name", "preset", "steps", "pretrains"),
    [
        ("vessels-3d private", "paper", None, True),
        ("vessels-3d gp", "paper", None, False),
        ("vessels-3d gp", "paper", 5, True),
        ("vessels-2d wgan-gp", "small", 0, False),
        ("vessels-2d wgan", "paper", None, False),
    ],
)
def test_a_recipe_with_steps_to_pre_train_is_pre_trained_unless_told_otherwise(
    name: str, preset: str, steps: int | None, pretrains: bool
) -> None:
    settings = {} if steps is None else {"pretraining_steps": steps}
    recipe = named(name, preset, settings)
    assert recipe.pretrains is pretrains
    assert bool(recipe.pretraining) >= pretrains


def test_a_volume_starts_dark_with_hardly_a_vessel() -> None:
    recipe = named("vessels-3d private")
    (scan,) = recipe.sample(recipe.build(0), 1, 0)
    assert scan.volumes[Role.VESSELS].mean() < 0.1
    assert scan.volumes[Role.ANGIO].mean() < 0.4
