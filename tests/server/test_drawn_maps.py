"""The gate of perfusion networks: what draws what it is shown passes, in whatever unit; nothing else does."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import nn

from server.dataset.gate import drawn_maps
from server.dataset.gate.drawn_maps import maps_follow, rank_correlation
from shared.imaging.scan import Role, Scan, Volume
from shared.ledger.events import Check
from shared.recipes.catalogue import load
from shared.recipes.network_file import About, network_bytes

Maps = dict[Role, Volume]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawn_maps, "CASES", 1)


@pytest.fixture
def judged(tmp_path: Path) -> Callable[..., Check]:
    """Return a function that has the gate judge an untrained network, changed in place by what it is given."""

    def judge(change: Callable[[nn.Module], object] = lambda network: None) -> Check:
        recipe = load("perfusion-2d", None, "small")
        network = recipe.build(3)["generator"]
        change(network)
        about = About(
            run="e" * 16,
            recipe=recipe.name,
            variant=recipe.variant,
            preset="small",
            settings={},
            private=True,
            claim="ε",
            ledger={},
        )
        (tmp_path / "network.safetensors").write_bytes(network_bytes(network, about))
        return maps_follow(tmp_path / "network.safetensors")

    return judge


def as_drawn(monkeypatch: pytest.MonkeyPatch, change: Callable[[Volume], Volume]) -> None:
    """Have the network draw the truth, changed."""

    def draw(generator: nn.Module, scan: Scan, edge: int, maps: tuple[Role, ...]) -> Maps:
        return {role: change(scan.volumes[role]) for role in maps}

    monkeypatch.setattr(drawn_maps, "draw_maps", draw)


def collapse(network: nn.Module) -> None:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()


def burst(network: nn.Module) -> None:
    """Leave weights that are finite, and what is drawn with them not a number."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1e38)


def test_an_untrained_a_collapsed_and_a_burst_network_are_refused(judged: Callable[..., Check]) -> None:
    for check in (judged(), judged(collapse), judged(burst)):
        assert not check.passed
        assert check.words.endswith("train again")
    assert "correlation with the truth of 1 public phantoms 0.00" in judged(collapse).words


def test_the_truth_passes_in_another_unit_and_shifted(
    judged: Callable[..., Check], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_drawn(monkeypatch, lambda truth: 10 * truth + 2)
    check = judged()
    assert check.passed
    assert "phantoms 1.00, at least 0.15; cbf 1.00, cbv 1.00, mtt 1.00, tmax 1.00, ttp 1.00" in check.words


def test_the_truth_upside_down_does_not(judged: Callable[..., Check], monkeypatch: pytest.MonkeyPatch) -> None:
    as_drawn(monkeypatch, lambda truth: -truth)
    assert "phantoms -1.00" in judged().words


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=2))
def test_rank_correlation_is_scipys_and_none_of_a_constant(pairs: list[tuple[int, int]]) -> None:
    one, other = np.array(pairs, np.float64).T
    constant = len(set(one)) == 1 or len(set(other)) == 1
    expected: float | NDArray[np.float64] = 0.0 if constant else spearmanr(one, other).statistic
    assert rank_correlation(one, other) == pytest.approx(expected)
