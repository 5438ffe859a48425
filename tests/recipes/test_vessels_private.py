"""Recipe `vessels-2d private`: what sites see, and where the critic sends the simulator."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from shared.imaging.scan import Role
from shared.phantoms.vessels import NAMES
from shared.recipes.base import sent_by_sites, sent_to_sites
from shared.recipes.catalogue import load
from shared.recipes.phantom_pool import PATCHES, PhantomPool
from shared.recipes.vessels_2d_private import VesselsPrivate

SMALL = {"phantoms": "1500"}


@pytest.fixture
def recipe() -> VesselsPrivate:
    made = load("vessels-2d", "private", "small", settings=SMALL)
    assert isinstance(made, VesselsPrivate)
    return made


@pytest.fixture
def model(recipe: VesselsPrivate) -> nn.ModuleDict:
    """Return networks and a pool in which feature 0 of a phantom is its first parameter."""
    model = recipe.build(1)
    points = 2 * torch.rand(1500, len(NAMES), generator=torch.Generator().manual_seed(1)) - 1
    model["pool"].points.copy_(points)
    model["pool"].proposal.fill_(-len(NAMES) * math.log(2))
    model["pool"].features[:, :, 0] = points[:, :1]
    return model


def test_sites_are_sent_no_generator_and_return_a_few_numbers(
    recipe: VesselsPrivate, model: nn.ModuleDict
) -> None:
    assert {name.split(".")[0] for name in sent_to_sites(recipe, model)} == {"features", "head"}
    assert sent_by_sites(recipe, model) == {"head.0.weight": (1, 64), "head.0.bias": (1,)}


def test_the_distribution_goes_where_the_critic_sees_patients(
    recipe: VesselsPrivate, model: nn.ModuleDict
) -> None:
    optimizer, distribution = recipe.coordinator_optimizer(model), model["distribution"]
    for round_ in range(15):
        with torch.no_grad():
            model["head"][0].weight.zero_()[0, 0] = 0.3  # patients have more of the first parameter
        recipe.coordinate(model, optimizer, round_, False, lambda *step: None)
    means = distribution.draw(4000, torch.Generator().manual_seed(1)).mean(0)
    assert means[0] > 0.5
    assert means[0] > 4 * means[1:].abs().max()


@pytest.mark.parametrize("worn", [True, False])
def test_a_pool_is_drawn_anew_only_when_it_no_longer_stands_for_the_distribution(
    worn: bool, recipe: VesselsPrivate, model: nn.ModuleDict, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = np.zeros((PATCHES, 2, 64, 64), np.float32)
    monkeypatch.setattr("shared.recipes.phantom_pool.simulate", lambda *args: empty)
    monkeypatch.setattr(PhantomPool, "look", lambda *args: None)
    distribution, before = model["distribution"], model["pool"].points.clone()
    if worn:
        with torch.no_grad():
            distribution.mean[:6].fill_(0.9)
            distribution.log_std[:6].fill_(-2.0)
    recipe.coordinate(model, recipe.coordinator_optimizer(model), 1, False, lambda *step: None)
    assert torch.equal(before, model["pool"].points) is not worn


def test_without_patients_the_critic_forgets(recipe: VesselsPrivate, model: nn.ModuleDict) -> None:
    optimizer = recipe.coordinator_optimizer(model)
    with torch.no_grad():
        model["head"][0].weight.fill_(0.1)
    norms = []
    for round_ in range(4):
        recipe.coordinate(model, optimizer, round_, False, lambda *step: None)
        norms.append(float(model["head"][0].weight.detach()[0, 1:].norm()))
    assert norms == sorted(norms, reverse=True)
    assert norms[-1] < norms[0]


def test_pairs_are_drawn_by_the_simulator_and_follow_from_the_seed(
    recipe: VesselsPrivate, model: nn.ModuleDict
) -> None:
    first, again = (list(recipe.sample(model, 3, 7)) for _ in range(2))
    assert [scan.shape for scan in first] == [(64, 64, 1)] * 3
    for one, other in zip(first, again, strict=True):
        assert (one.volumes[Role.ANGIO] == other.volumes[Role.ANGIO]).all()
        assert set(one.volumes[Role.VESSELS].ravel()) <= {0.0, 1.0}
