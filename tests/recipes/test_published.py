"""Recipes as their code was published keep the same promises: their faults are faults of learning alone."""

from pathlib import Path

import pytest
import torch

from shared.models.vessel_discriminator import VesselDiscriminator
from shared.recipes.base import GradientPhase, state_of
from shared.recipes.catalogue import catalogue
from shared.recipes.wasserstein import SMOOTHED
from tests.recipes import guarantees
from tests.recipes.subject import Subject, named, subject_of

PUBLISHED = [
    f"{name} {variant}"
    for name, variants in catalogue().items()
    for variant, recipe in variants.items()
    if "published" in recipe.presets
]
JOINT = "vessels-2d dcgan"
FAULTS = {"as_published": True}


@pytest.fixture(params=PUBLISHED)
def published(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    """Every recipe that can be as its code was published, made so at its small size."""
    return subject_of(request.param, tmp_path, monkeypatch, FAULTS)


def test_the_faults_are_there_at_paper_size_and_nowhere_else() -> None:
    assert len(PUBLISHED) >= 7
    for name in PUBLISHED:
        for preset in ("small", "paper", "published"):
            schedule = named(name, preset).schedule
            assert schedule.model_dump()["as_published"] is (preset == "published")
        paper, faulty = (named(name, preset).schedule.model_dump() for preset in ("paper", "published"))
        assert {key for key in paper if paper[key] != faulty[key]} == {"as_published"}


def test_sensitivity(published: Subject) -> None:
    guarantees.one_unit_moves_the_sum_by_at_most_the_clip_norm(published)


@pytest.mark.parametrize("published", [JOINT], indirect=True)
def test_two_moved_networks_are_noised_and_leaky_ones_refused(published: Subject) -> None:
    assert isinstance(published.phase, GradientPhase)
    assert set(published.phase.moves) == {"generator", "critic"}
    guarantees.leaky_modules_are_refused(published)
    guarantees.a_step_releases_the_declared_noise(published)


@pytest.mark.parametrize("published", [JOINT], indirect=True)
def test_feature_matching_moves_the_generator_and_not_the_discriminator(published: Subject) -> None:
    model, phase = published.model, published.phase
    assert isinstance(phase, GradientPhase)
    critic = model["critic"]
    assert isinstance(critic, VesselDiscriminator)
    records = next(iter(published.patients.values())).draw(2, torch.Generator().manual_seed(0))
    loss = phase.patient_loss(model, records, torch.Generator().manual_seed(1))
    torch.autograd.backward(loss)
    moved = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert {name.split(".")[0] for name in moved} == {"generator", "critic"}

    model.zero_grad()
    with pytest.MonkeyPatch.context() as patch:  # without the discriminator's own loss it does not move
        patch.setattr(type(phase._objective.loss), "real", lambda self, s, g: s.sum() * 0)  # type: ignore[attr-defined]
        patch.setattr(type(phase._objective.loss), "fake", lambda self, s, g: s.sum() * 0)  # type: ignore[attr-defined]
        torch.autograd.backward(phase.patient_loss(model, records, torch.Generator().manual_seed(1)))
    assert not any(bool(p.grad.any()) for p in critic.parameters() if p.grad is not None)
    assert any(bool(p.grad.any()) for p in model["generator"].parameters() if p.grad is not None)


def test_what_the_sites_moved_is_what_is_sampled() -> None:
    recipe = named(JOINT, settings=FAULTS)
    model = recipe.build(0)
    assert recipe.coordinator_optimizer(model) is None
    sent = {name: value + 1 for name, value in state_of(model, ("generator", "critic")).items()}
    recipe.receive(model, sent, 0.0)
    recipe.coordinate(model, None, 0, True, lambda *args: None)
    for name, value in model[SMOOTHED].state_dict().items():
        assert torch.equal(value, sent[f"generator.{name}"])


def test_by_default_the_sites_move_the_discriminator_alone() -> None:
    phase = named(JOINT).phase
    assert isinstance(phase, GradientPhase)
    assert phase.moves == ("critic",)
