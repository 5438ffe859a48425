"""Recipe `vessels-2d private`: what sites see, and where the critic sends the simulator."""

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shared.imaging.scan import Role
from shared.imaging.vessel_statistics import STATISTICS_DIM, patch_histograms
from shared.models.simulator_gan import ParameterDistribution
from shared.optimizer_state import load_state, save_state
from shared.phantoms.vessels import NAMES
from shared.recipes.base import sent_by_sites, sent_to_sites
from shared.recipes.catalogue import load
from shared.recipes.phantom_pool import PATCHES, PhantomPool
from shared.recipes.vessels_2d_private import VesselsPrivate


@dataclass
class Federation:
    """Networks, and a pool in which share 0 of a phantom is its first parameter; nobody is asked."""

    recipe: VesselsPrivate
    model: nn.ModuleDict = field(init=False)
    pool: PhantomPool = field(init=False)
    distribution: ParameterDistribution = field(init=False)
    weight: Tensor = field(init=False)  # of the head

    def __post_init__(self) -> None:
        self.model = self.recipe.build(1)
        pool, distribution = self.model["pool"], self.model["distribution"]
        assert isinstance(pool, PhantomPool)
        assert isinstance(distribution, ParameterDistribution)
        pool.points.copy_(2 * torch.rand(pool.points.shape, generator=torch.Generator().manual_seed(1)) - 1)
        pool.proposal.fill_(-len(NAMES) * math.log(2))
        pool.histograms[:, :, 0] = pool.points[:, :1]
        self.pool, self.distribution = pool, distribution
        self.weight = dict(self.model.named_parameters())["head.weight"].data
        self.optimizer = self.recipe.coordinator_optimizer(self.model)

    def coordinate(self, seed: int, *, last: bool = False) -> None:
        self.recipe.coordinate(self.model, self.optimizer, seed, last, lambda *step: None)


def _free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let phantoms cost nothing: their histograms are drawn anyhow."""
    rng = np.random.default_rng(1)
    monkeypatch.setattr("shared.recipes.phantom_pool.simulate", lambda *args: None)
    monkeypatch.setattr(
        "shared.recipes.phantom_pool.patch_histograms",
        lambda patches: rng.random((PATCHES, STATISTICS_DIM), np.float32),
    )


@pytest.fixture
def federation() -> Federation:
    recipe = load("vessels-2d", "private", "small", settings={"phantoms": 1500})
    assert isinstance(recipe, VesselsPrivate)
    return Federation(recipe)


def test_sites_are_sent_no_generator_and_return_a_few_numbers(federation: Federation) -> None:
    recipe, model = federation.recipe, federation.model
    assert {name.split(".")[0] for name in sent_to_sites(recipe, model)} == {"features", "head"}
    assert sent_by_sites(recipe, model) == {"head.weight": (1, STATISTICS_DIM), "head.bias": (1,)}


def test_the_distribution_goes_where_the_critic_sees_patients(federation: Federation) -> None:
    for round_ in range(5):
        federation.weight.zero_()[0, 0] = 0.3  # patients have more of the first parameter
        federation.coordinate(round_)
    means = federation.distribution.draw(4000, torch.Generator().manual_seed(1)).mean(0)
    assert means[0] > 0.3
    assert means[0] > 3 * means[1:].abs().max()


@pytest.mark.parametrize("worn", [True, False])
def test_a_pool_is_drawn_anew_only_when_it_no_longer_stands_for_the_distribution(
    worn: bool, federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    _free(monkeypatch)
    before = federation.pool.points.clone()
    if worn:
        with torch.no_grad():
            federation.distribution.mean[:6].fill_(0.9)
            federation.distribution.log_std[:6].fill_(-2.0)
    federation.coordinate(1)
    assert torch.equal(before, federation.pool.points) is not worn


def test_without_patients_the_critic_forgets(federation: Federation) -> None:
    federation.weight.fill_(0.1)
    norms = []
    for round_ in range(4):
        federation.coordinate(round_)
        norms.append(float(federation.weight[0, 1:].norm()))
    assert norms == sorted(norms, reverse=True)
    assert norms[-1] < norms[0]


def test_in_the_last_rounds_the_distribution_stands_still_and_the_pool_is_drawn_from_it_once(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    _free(monkeypatch)
    federation.pool.rounds.fill_(federation.recipe.schedule.moving - 1)
    pools, means = [], []
    for round_ in range(3):
        federation.weight.fill_(0.1)
        federation.coordinate(round_)
        pools.append(federation.pool.points.clone())
        means.append(federation.distribution.mean.detach().clone())
    assert torch.equal(pools[0], pools[1])
    assert torch.equal(pools[1], pools[2])
    assert federation.pool.effective(federation.distribution) == pytest.approx(1, abs=1e-4)
    assert means[0].any()
    assert torch.equal(means[0], means[2])


def test_the_last_rounds_begin_with_a_critic_that_takes_all_for_real_and_sees_whitened_histograms(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    _free(monkeypatch)
    federation.pool.rounds.fill_(federation.recipe.schedule.moving - 1)
    federation.weight.fill_(0.1)
    federation.coordinate(0)
    kept = federation.recipe.schedule.components
    features = federation.model["features"](federation.pool.histograms.flatten(0, 1))
    assert not federation.weight.any()
    assert not features[:, kept:].any()
    torch.testing.assert_close(torch.cov(features[:, :kept].T), 2.5**2 * torch.eye(kept), atol=1e-2, rtol=0)


def test_the_last_critic_chooses_in_a_run_whose_distribution_never_stands_still(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    _free(monkeypatch)
    federation.pool.rounds.fill_(federation.recipe.schedule.moving - 1)
    federation.weight.fill_(0.1)
    federation.coordinate(0, last=True)
    head, chooser = (federation.model[name].state_dict() for name in ("head", "chooser"))
    assert head["weight"].all()
    assert all(torch.equal(chooser[name], value) for name, value in head.items())


def test_a_run_resumed_in_any_round_goes_on_to_the_same_bytes(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new head, its axes and the average lie in the checkpoint."""
    resumed = Federation(federation.recipe)
    federation.pool.rounds.fill_(federation.recipe.schedule.moving - 2)
    resumed.model.load_state_dict(federation.model.state_dict())
    for round_ in range(4):
        for one in (federation, resumed):
            _free(monkeypatch)  # the same phantoms for both
            one.weight.add_(0.01 * (round_ + 1))
            one.coordinate(round_)
        kept, state = save_state(resumed.optimizer), resumed.model.state_dict()
        resumed = Federation(federation.recipe)
        resumed.model.load_state_dict(state)
        load_state(resumed.optimizer, kept)
        for name, value in federation.model.state_dict().items():
            assert torch.equal(value, resumed.model.state_dict()[name]), (round_, name)
    assert federation.model["chooser"].get_parameter("weight").any()


def test_patches_that_the_average_critic_takes_for_phantoms_are_turned_down(federation: Federation) -> None:
    def histograms() -> NDArray[np.float32]:
        drawn = [scan.volumes for scan in federation.recipe.sample(federation.model, 24, 7)]
        patches = np.stack([[2 * v[Role.ANGIO][..., 0] - 1, v[Role.VESSELS][..., 0]] for v in drawn])
        return patch_histograms(patches.astype(np.float32))

    federation.pool.histograms.zero_()  # any score of 0 or more is kept
    federation.weight.fill_(-1.0)  # of the last critic: nobody asks it
    before = histograms()
    share = int(before.std(axis=0).argmax())
    dict(federation.model.named_parameters())["chooser.weight"].data[0, share] = -50.0
    assert histograms()[:, share].mean() < before[:, share].mean() / 2


def test_pairs_are_drawn_by_the_simulator_and_follow_from_the_seed(federation: Federation) -> None:
    first, again = (list(federation.recipe.sample(federation.model, 3, 7)) for _ in range(2))
    assert [scan.shape for scan in first] == [(64, 64, 1)] * 3
    for one, other in zip(first, again, strict=True):
        assert (one.volumes[Role.ANGIO] == other.volumes[Role.ANGIO]).all()
        assert set(one.volumes[Role.VESSELS].ravel()) <= {0.0, 1.0}
