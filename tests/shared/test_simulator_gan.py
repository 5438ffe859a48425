"""The GAN whose generator is a simulator: its distribution, its pool of phantoms and its critic."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import truncnorm

from shared.imaging.vessel_statistics import STATISTICS_DIM
from shared.models.simulator_gan import ParameterDistribution, PatchFeatures, average_heads, build_head
from shared.phantoms.vessels import LOG_HIGH, LOG_LOW, NAMES
from shared.recipes.phantom_pool import PATCHES, PhantomPool, thetas_of


def _distribution(*moments: tuple[float, float]) -> ParameterDistribution:
    distribution = ParameterDistribution(len(moments))
    with torch.no_grad():
        distribution.mean.copy_(torch.tensor([mean for mean, _ in moments]))
        distribution.log_std.copy_(torch.tensor([std for _, std in moments]).log())
    return distribution


def _random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _drawn(
    distribution: ParameterDistribution, phantoms: int, monkeypatch: pytest.MonkeyPatch, anywhere: float = 0.5
) -> PhantomPool:
    """Return a pool whose phantoms cost nothing."""
    pool = PhantomPool(phantoms, len(distribution.mean))
    empty = np.zeros((PATCHES, STATISTICS_DIM), np.float32)
    monkeypatch.setattr("shared.recipes.phantom_pool.simulate", lambda *args: None)
    monkeypatch.setattr("shared.recipes.phantom_pool.patch_histograms", lambda patches: empty)
    monkeypatch.setattr("shared.recipes.phantom_pool.thetas_of", lambda points: points.numpy())
    pool.renew(distribution, 8, 1, anywhere=anywhere)
    return pool


@settings(max_examples=25)
@given(st.floats(-1, 1), st.floats(0.1, 2.5), st.floats(-1, 1))
def test_the_density_is_that_of_a_truncated_normal(mean: float, std: float, point: float) -> None:
    ours = _distribution((mean, std)).log_density(torch.tensor([[point]]))
    theirs = truncnorm((-1 - mean) / std, (1 - mean) / std, loc=mean, scale=std).logpdf(point)
    assert float(ours.detach()) == pytest.approx(theirs, abs=2e-3)


def test_draws_follow_the_density_and_the_generator() -> None:
    distribution = _distribution((0.8, 0.5), (-0.2, 0.1))
    draws = distribution.draw(4000, _random())
    assert draws.abs().max() <= 1
    expected = [truncnorm((-1 - m) / s, (1 - m) / s, loc=m, scale=s).mean() for m, s in ((0.8, 0.5), (-0.2, 0.1))]
    np.testing.assert_allclose(draws.mean(0), expected, atol=0.02)
    assert torch.equal(draws, distribution.draw(4000, _random()))


def test_a_fresh_distribution_is_nearly_the_public_one() -> None:
    points = 2 * torch.rand(1000, 3, generator=_random()) - 1
    ratio = ParameterDistribution(3).log_density(points) + 3 * np.log(2)
    assert ratio.abs().max() < 0.2


def test_a_weighed_pool_stands_for_another_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = _drawn(_distribution((0.3, 0.4), (0.0, 2.5)), 4000, monkeypatch)
    asked = _distribution((0.5, 0.3), (0.0, 2.5))
    shares = pool.shares(asked).detach()
    expected = truncnorm(-5, 5 / 3, loc=0.5, scale=0.3).mean()
    assert float(shares.sum()) == pytest.approx(1, abs=1e-4)
    assert float((shares * pool.points[:, 0]).sum()) == pytest.approx(expected, abs=0.02)


def test_a_pool_drawn_for_a_distribution_keeps_at_least_half_its_size_and_wears_out_further_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    near = _distribution((0.9, 0.1), (-0.9, 0.1), (0.5, 0.1))
    assert PhantomPool(2000, 3).effective(near) == 0
    pool = _drawn(near, 2000, monkeypatch)
    assert 0.49 < pool.effective(near) < 0.52  # the other half, drawn anywhere, hardly counts
    assert pool.effective(_distribution((-0.9, 0.1), (0.9, 0.1), (-0.5, 0.1))) < 0.01


def test_a_pool_drawn_from_the_distribution_alone_is_a_sample_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = _distribution((0.9, 0.1), (-0.9, 0.1))
    pool = _drawn(narrow, 500, monkeypatch, anywhere=0.0)
    assert pool.effective(narrow) == pytest.approx(1, abs=1e-4)
    assert float(pool.points[:, 0].min()) > 0.4


def test_divergence_is_the_relative_entropy_to_the_uniform_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = _distribution((0.2, 0.3))
    pool = _drawn(narrow, 4000, monkeypatch)
    entropy = float(truncnorm(-4, 8 / 3, loc=0.2, scale=0.3).entropy())
    assert pool.divergence(narrow).item() == pytest.approx(np.log(2) - entropy, abs=0.03)
    assert pool.divergence(_distribution((0.0, 2.5))).item() == pytest.approx(0, abs=0.02)


def test_scaled_ends_are_the_ends_of_the_public_ranges() -> None:
    ends = thetas_of(torch.stack([-torch.ones(len(NAMES)), torch.ones(len(NAMES))]))
    np.testing.assert_allclose(ends, np.exp([LOG_LOW, LOG_HIGH]), rtol=1e-6)


def test_the_pool_keeps_the_histograms_of_every_patch() -> None:
    pool = PhantomPool(2, len(NAMES))
    pool.renew(ParameterDistribution(len(NAMES)), 32, 1)
    assert pool.histograms.shape == (2, PATCHES, STATISTICS_DIM)
    assert (pool.histograms.sum(-1) > 1).all()  # some blocks sum to 1 each
    assert (pool.histograms[0] != pool.histograms[1]).any()


def test_features_are_standardised_and_what_hardly_varies_stays_small() -> None:
    features = PatchFeatures()
    histograms = torch.rand(50, STATISTICS_DIM, generator=_random())
    histograms[:, 0] = 0.3
    histograms[0, 0] += 0.01
    features.standardise(histograms)
    seen = features(histograms)
    torch.testing.assert_close(seen.mean(0), torch.zeros(STATISTICS_DIM), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen[:, 1:].std(0), torch.ones(STATISTICS_DIM - 1), atol=1e-5, rtol=0)
    assert 0 < seen[:, 0].abs().max() < 1


def test_whitened_features_are_the_first_principal_components_all_of_one_spread() -> None:
    features = PatchFeatures()
    mixed = torch.randn(400, 5, generator=_random()) @ torch.randn(5, STATISTICS_DIM, generator=_random())
    features.standardise(mixed)
    standardised = features(mixed)
    features.whiten(mixed, 3)
    seen = features(mixed)
    torch.testing.assert_close(torch.cov(seen[:, :3].T), 2.5**2 * torch.eye(3), atol=1e-3, rtol=0)
    assert not seen[:, 3:].any()
    reached = torch.linalg.lstsq(seen[:, :3], standardised).solution
    lost = (standardised - seen[:, :3] @ reached).square().sum()
    assert lost.item() == pytest.approx(torch.linalg.svdvals(standardised)[3:].square().sum().item(), rel=1e-3)


def test_an_average_of_heads_is_that_of_weights_that_grow_with_the_step() -> None:
    average, head = build_head(), build_head()
    for step in range(1, 7):
        head.weight.data.fill_(step)
        average_heads(average, head, step)
    weights = [step * (step + 1) * (step + 2) for step in range(1, 7)]
    expected = sum(w * step for step, w in enumerate(weights, 1)) / sum(weights)
    assert average.weight[0, 0].item() == pytest.approx(expected)


def test_a_fresh_critic_is_small_and_takes_sides_with_nobody() -> None:
    head = build_head()
    assert not head(torch.randn(5, STATISTICS_DIM, generator=_random())).any()
    assert sum(p.numel() for p in head.parameters()) == STATISTICS_DIM + 1
