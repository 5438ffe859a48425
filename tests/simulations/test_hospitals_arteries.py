"""Guarantees of the artery trees: they are connected, they taper, and a stenosis is a local narrowing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.hospitals.arteries import arteries
from simulations.hospitals.branching import Branch, Habit, grow, line
from simulations.hospitals.stenosis import narrow

SEEDS = range(4)


def tree(seed: int) -> list[Branch]:
    return arteries(np.random.default_rng(seed), age=60)


def grown(branches: list[Branch]) -> list[Branch]:
    return [b for b in branches if b.name[:3] in ("MCA", "ACA", "PCA")]


@pytest.mark.parametrize("seed", SEEDS)
def test_every_branch_begins_on_another_artery(seed: int) -> None:
    branches = tree(seed)
    fed_from_below = {"ICA-R", "ICA-L", "VA-R", "VA-L"}
    for branch in branches:
        if branch.name in fed_from_below:
            continue
        others = np.concatenate([b.points for b in branches if b is not branch])
        wide = max(b.radius.max() for b in branches)
        assert np.linalg.norm(others - branch.points[0], axis=1).min() < wide, branch.name


@pytest.mark.parametrize("seed", SEEDS)
def test_radius_decreases_along_the_trees_and_never_grows_at_a_division(seed: int) -> None:
    branches = grown(tree(seed))
    for branch in branches:
        assert (np.diff(branch.radius) <= 1e-12).all()
        feeding = [b for b in branches if b is not branch and np.allclose(b.points[-1], branch.points[0])]
        assert all(branch.radius[0] <= parent.radius[-1] + 1e-12 for parent in feeding)
    ends = [b.radius[-1] for b in branches]
    assert min(ends) < 0.75 * max(b.radius[0] for b in branches)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), leaves=st.integers(1, 12))
def test_a_tree_reaches_every_goal_once_with_two_children_a_division(seed: int, leaves: int) -> None:
    rng = np.random.default_rng(seed)
    root = line("root", np.array([[0.0, 0, -10], [0, 0, -5], [0, 0, 0]]), (1.5, 1.4))
    goals = rng.uniform((-40, -40, 10), (40, 40, 60), (leaves, 3))
    branches = grow(rng, root, goals, Habit(leaf_radius=0.4, tortuosity=0.05))
    assert len(branches) == 2 * leaves - 1
    ends = np.array([b.points[-1] for b in branches])
    assert np.linalg.norm(ends[:, None] - goals, axis=2).min(axis=0).max() < 1e-6


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stenosis_narrows_one_artery_by_half_or_more_and_no_other(seed: int) -> None:
    before = tree(seed)
    after = narrow(np.random.default_rng(seed), before)
    changed = [(a, b) for a, b in zip(before, after, strict=True) if not np.array_equal(a.radius, b.radius)]
    assert len(changed) == 1
    healthy, sick = changed[0]
    assert 0.1 < (sick.radius / healthy.radius).min() < 0.55
    assert (sick.radius / healthy.radius).max() > 0.9
    assert all(b.flow <= a.flow for a, b in zip(before, after, strict=True))


def test_heads_differ() -> None:
    assert not np.allclose(tree(0)[0].points[:50], tree(1)[0].points[:50])
