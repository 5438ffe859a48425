"""Which noise a round gets, and what a site phase may be asked for."""

import pytest
import torch

from client.training import public_stream, randomness_for, train_round
from shared.errors import ProtocolError
from shared.ledger.events import Run
from shared.privacy.events import NoiseSource, Spending, Unit
from shared.privacy.randomness import SystemRandomness
from shared.recipes.catalogue import load
from tests.client.conversation import run_of

RECIPE = load("vessels-2d", "private-calibrated", "small")
RUN = run_of(RECIPE)


def noise(run: Run = RUN, seed: int = 1, site: str = "east", round_: int = 1) -> list[float]:
    values: list[float] = randomness_for(run, seed, site, round_).gaussian(4, 1.0).tolist()
    return values


def test_seeded_noise_follows_from_the_plan_and_the_site_and_not_from_the_runs_name() -> None:
    """A name is made of keys drawn at random, and code changes with every line: neither would repeat elsewhere."""
    assert noise(RUN.model_copy(update={"run": "f" * 16, "code": "f" * 64})) == noise()


@pytest.mark.parametrize("field", sorted(set(Run.model_fields) - {"type", "run", "code", "noise_source"}))
def test_plans_that_differ_in_anything_never_share_noise(field: str) -> None:
    value = getattr(RUN, field)
    if isinstance(value, Spending):
        other: object = value.model_copy(update={"unit": Unit.PATCH})
    else:
        other = {"steps": 2} if isinstance(value, dict) else value * 2 or "x"
    assert not set(noise(RUN.model_copy(update={field: other}))) & set(noise())


def test_sites_rounds_and_seeds_never_share_noise() -> None:
    streams = [noise(), noise(site="west"), noise(round_=2), noise(seed=2)]
    assert len({value for stream in streams for value in stream}) == 16


def test_the_source_is_the_one_the_run_declares() -> None:
    system = RUN.model_copy(update={"noise_source": NoiseSource.SYSTEM})
    assert isinstance(randomness_for(system, None, "east", 1), SystemRandomness)
    for run, seed in ((system, 1), (RUN, None)):
        with pytest.raises(ProtocolError, match="set up otherwise"):
            randomness_for(run, seed, "east", 1)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"spending": Spending.of(*RUN.spending.mechanisms, unit=Unit.PATCH)}, "protects a patch"),
        ({"clip_norm": None}, "must clip"),
    ],
    ids=["unit", "clip"],
)
def test_a_plan_that_does_not_fit_the_phase_is_refused_before_anyone_is_read(
    changes: dict[str, object], why: str
) -> None:
    run = RUN.model_copy(update=changes)
    with pytest.raises(ProtocolError, match=why):
        train_round(RECIPE, run, torch.nn.ModuleDict(), {}, {}, SystemRandomness(), public_stream(run, "east", 1))
