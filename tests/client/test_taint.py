"""Nothing but the noisy sum depends on patients: with that sum silenced, two cohorts cannot be told apart.

Two hospitals of the same name, key, salt and patient ids hold other images. With the door's sum replaced by
zeros, everything they send (arrays, JSON, signatures, refusals, sizes) must be the same byte for byte. The
controls plant leaks and check that this test sees them.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import client.app
from client.cohort import Cohort
from client.training import Stream
from shared.ledger.events import Run
from shared.messages import UpdateReply
from shared.privacy.mechanism import GaussianSum
from shared.recipes.base import Recipe
from shared.recipes.catalogue import load
from shared.recipes.wasserstein import CriticPhase
from tests.client.conversation import Conversation, body_of, model_of, run_of
from tests.cohorts import add_lesion_patient, lesion_cohorts, vessel_cohorts

ROUNDS = 2
RECIPES = {"lesions-3d": "wgan-gp", "vessels-2d": "wgan", "vessels-2d calibrated": "calibrated"}


@pytest.fixture(params=RECIPES)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return load(request.param.split()[0], RECIPES[request.param], "small")


@pytest.fixture
def twins(recipe: Recipe, tmp_path: Path) -> tuple[Path, Path]:
    """Two sites with nothing in common but name, key, salt and patient ids; one has a patient seen twice."""
    make: Callable[..., Path] = lesion_cohorts if recipe.name == "lesions-3d" else vessel_cohorts
    one, other = (make(tmp_path / name, {"east": 4}, seed=seed) / "east" for name, seed in (("a", 0), ("b", 50)))
    if recipe.name == "lesions-3d":
        add_lesion_patient(other, "sub-002", seed=99, session="ses-2")
    Conversation(one).enrol(recipe)
    (other / ".willis").mkdir()
    for secret in ("site.key", "salt"):
        shutil.copy(one / ".willis" / secret, other / ".willis" / secret)
    return one, other


def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the door release zeros in place of the noisy sum."""
    monkeypatch.setattr(GaussianSum, "release", lambda door: [torch.zeros_like(t) for t in door._sum])


def everything_sent(folder: Path, recipe: Recipe, noise_seed: int = 1) -> list[bytes]:
    """Take a site through a whole run, mistakes included; return all it sends."""
    run = run_of(recipe, rounds=ROUNDS, steps=2, sampling_rate=0.5)
    model = model_of(recipe)
    site = Conversation(folder, noise_seed=noise_seed)
    site.train(run, 1, model)  # refused: nothing is reserved yet
    site.enrol(recipe)
    site.reserve(run)
    for round_ in range(1, ROUNDS + 1):
        body_of(site.train(run, round_, model), UpdateReply)
    site.train(run, ROUNDS, {name: value + 1 for name, value in model.items()} or {"x": torch.ones(1)})
    site.train(run, ROUNDS + 1, model)  # refused: no such round
    site.settle(run)
    return site.answers


def test_a_silenced_site_sends_the_same_bytes_whatever_its_patients(
    recipe: Recipe, twins: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    silence(monkeypatch)
    one, other = (everything_sent(folder, recipe) for folder in twins)
    assert len(one) == ROUNDS + 6
    assert one == other


def test_control_without_silence_the_sites_differ(recipe: Recipe, twins: tuple[Path, Path]) -> None:
    """The same seed gives the same noise: what differs comes from patients, so patients were read."""
    one, other = (everything_sent(folder, recipe) for folder in twins)
    differing = [index for index, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
    assert differing == [3, 4]  # the two updates


def test_a_silenced_site_does_not_tell_how_many_patients_were_drawn(
    recipe: Recipe, twins: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another seed draws other patients; the half of the loss that is not noised must not notice."""
    silence(monkeypatch)
    one, other = shutil.copytree(twins[0], tmp_path / "other" / "east"), twins[0]
    assert everything_sent(one, recipe, noise_seed=1) == everything_sent(other, recipe, noise_seed=2)


@pytest.mark.parametrize("recipe", ["vessels-2d"], indirect=True)
def test_control_a_stream_shared_by_patients_and_the_free_half_is_seen(
    recipe: Recipe, twins: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shared(run: Run, site: str, round_: int) -> Stream:
        only = torch.Generator().manual_seed(round_)
        return lambda *purpose: only

    silence(monkeypatch)
    monkeypatch.setattr(client.app, "public_stream", shared)
    one, other = shutil.copytree(twins[0], tmp_path / "other" / "east"), twins[0]
    assert everything_sent(one, recipe, noise_seed=1) != everything_sent(other, recipe, noise_seed=2)


def leak_by_the_free_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the part of the loss that is not noised read the patient's records that were drawn last."""
    seen: list[Tensor] = []
    private, public = CriticPhase.patient_loss, CriticPhase.public_loss

    def remember(phase: CriticPhase, model: nn.ModuleDict, records: Tensor, random: torch.Generator) -> Tensor:
        seen.append(records)
        return private(phase, model, records, random)

    def leak(phase: CriticPhase, model: nn.ModuleDict, count: int, random: torch.Generator) -> Tensor | None:
        return model["critic"](seen[-1]).mean() if seen else public(phase, model, count, random)

    monkeypatch.setattr(CriticPhase, "patient_loss", remember)
    monkeypatch.setattr(CriticPhase, "public_loss", leak)


def leak_by_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the door forget its noise."""
    monkeypatch.setattr(GaussianSum, "release", lambda door: door._sum)


def leak_by_the_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a signed statement hold what only the images tell: how many sessions there are."""
    monkeypatch.setattr(Cohort, "ids", property(lambda c: [p for p, s in sorted(c.patients.items()) for _ in s]))


@pytest.mark.parametrize(
    ("recipe", "leak"),
    [
        ("lesions-3d", leak_by_the_free_half),
        ("vessels-2d", leak_by_the_free_half),
        ("vessels-2d calibrated", leak_by_the_door),
        ("lesions-3d", leak_by_the_weight),
    ],
    indirect=["recipe"],
)
def test_control_a_planted_leak_is_seen(
    leak: Callable[[pytest.MonkeyPatch], None],
    recipe: Recipe,
    twins: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    silence(monkeypatch)
    leak(monkeypatch)
    one, other = (everything_sent(folder, recipe) for folder in twins)
    assert one != other
