"""An estimate is what a run then moves and keeps."""

from pathlib import Path

import pytest

from client.outbox import KEEP as ANSWERS_KEPT
from client.outbox import Outbox
from client.training import public_stream, train_round
from deploy.coordinator.estimates import FLOOR_SECONDS, estimate
from deploy.coordinator.measuring import patient_step, phantom
from server.run.checkpoint import KEEP as CHECKPOINTS_KEPT
from server.run.checkpoint import Checkpoint, save_checkpoint
from shared.canonical import canonical
from shared.messages import encode
from shared.optimizer_state import save_state
from shared.privacy.events import NoiseSource
from shared.privacy.randomness import SystemRandomness
from shared.recipes.base import Arrays, Recipe, sent_to_sites
from shared.recipes.catalogue import catalogue, load
from tests.client.conversation import run_of
from tests.commands import willis

HEADER = 128  # bytes before each array in a message, of numpy's own format
HEADERS = 40_000  # bytes that names and shapes of arrays may take in a file
RECIPES = ["vessels-2d wgan", "vessels-2d private-calibrated", "lesions-3d wgan-gp", "translate-2d pix2pix"]


def _load(name: str) -> Recipe:
    recipe, variant = name.split()
    return load(recipe, variant, "small")


def _sent(arrays: Arrays) -> int:
    """Return the bytes of the arrays in a message."""
    return sum(len(array.data) for array in encode(arrays).values())


@pytest.mark.parametrize("name", RECIPES)
def test_sizes_are_those_of_a_real_round(name: str, tmp_path: Path) -> None:
    recipe = _load(name)
    known = estimate(recipe, rounds=3, sites=2)
    model = recipe.build(0)
    run = run_of(recipe, rounds=3, steps=1, sampling_rate=1.0, source=NoiseSource.SYSTEM)
    patients = {"phantom": recipe.records([phantom(recipe.roles)], 1)}
    stream = public_stream(run, "here", 1)
    update, optimizer, _ = train_round(recipe, run, model, patients, {}, SystemRandomness(), stream)
    assert sum(array.numel() for array in update.values()) == known.trained
    assert _sent(update) == known.up + HEADER * len(update)
    broadcast = sent_to_sites(recipe, model)
    assert _sent(broadcast) == known.down + HEADER * len(broadcast)
    outbox = Outbox(tmp_path / "run")
    for round_ in range(1, 4):
        outbox.begin(round_, "base")
        outbox.store(round_, update, optimizer)
    kept = sum(path.stat().st_size for path in (tmp_path / "run").glob("answer-*"))
    assert known.site_disk <= kept <= known.site_disk + HEADERS
    assert known.site_disk == ANSWERS_KEPT * known.answer


@pytest.mark.parametrize("name", ["vessels-2d wgan", "lesions-3d wgan-gp"])
def test_the_centres_state_is_its_checkpoint(name: str, tmp_path: Path) -> None:
    recipe = _load(name)
    known = estimate(recipe, rounds=None, sites=2)
    model = recipe.build(0)
    optimizer = recipe.coordinator_optimizer(model)
    recipe.coordinate(model, optimizer, seed=1, last=False, progress=lambda *step: None)
    arrays = {**model.state_dict(), **save_state(optimizer)}
    written = save_checkpoint(tmp_path, Checkpoint(1, arrays)).stat().st_size
    assert known.state <= written <= known.state + HEADERS + len(canonical(sorted(arrays)))
    assert known.centre_disk > CHECKPOINTS_KEPT * known.state
    assert known.rounds == recipe.schedule.rounds


def test_times_by_hand() -> None:
    known = estimate(load("lesions-3d", None, "small"), rounds=10, sites=4)
    one = (known.down + known.up) * 8
    assert known.transfer(site_mbit=1, centre_mbit=1000) == pytest.approx(one / 1e6)
    assert known.transfer(site_mbit=1, centre_mbit=2) == pytest.approx(4 * one / 2e6)
    assert known.total == 40 * (known.down + known.up)
    assert known.training(0.5, patients=40) == pytest.approx(0.5 * 0.25 * 40 * 5)


@pytest.mark.parametrize("name", [name for name in catalogue() if not name.startswith("query")])
def test_there_is_a_public_phantom_for_every_recipe(name: str) -> None:
    roles = load(name, None, "small").roles
    assert set(roles) <= phantom(roles).volumes.keys()


def test_a_measured_step_takes_time_and_the_table_says_how_it_was_reckoned() -> None:
    step = patient_step(load("lesions-3d", None, "small"))
    assert 0 < step < 10
    said = willis("coordinator", "estimate", "--recipe", "lesions-3d", "--rounds", 7, "--measure")
    text = " ".join(" ".join(said.said).split())
    assert "7 rounds, 3 hospitals" in text
    assert "0.25 × 50 patients × 5 steps, as measured on this machine" in text
    assert f"{FLOOR_SECONDS:g} s a round, as measured with Flower 1.41" in text


def test_without_measuring_training_is_said_to_be_left_out() -> None:
    text = " ".join(willis("coordinator", "estimate", "--recipe", "lesions-3d").said)
    assert "without training" in text
    assert "as measured on this machine" not in text
