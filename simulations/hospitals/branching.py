"""How an artery divides on its way to the cortex.

A tree is grown towards goals, points its leaves have to reach. A branch heads for the middle of its goals,
then the goals are split in two across their longest direction, one half for each child. A child that feeds
a share s of its parent's leaves has s^(1/3) of its radius, so parent³ = child³ + child³ at every division
(Murray, 1926), down to a least radius; radii never grow along the way.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

Points = NDArray[np.float64]  # (n, 3), millimetres of the head

STEP_MM = 0.25  # distance between neighbouring points of a centreline


@dataclass(frozen=True)
class Branch:
    """A stretch of artery between two divisions."""

    name: str
    points: Points  # (n, 3) centreline, millimetres, in the direction of flow
    radius: NDArray[np.float64]  # (n,) millimetres
    flow: float = 1.0  # brightness of its blood relative to fresh blood


@dataclass(frozen=True)
class Habit:
    """What the branches of one tree have in common."""

    leaf_radius: float  # millimetres; no branch is thinner
    tortuosity: float  # how far a branch strays from its course, as a share of its length


def line(name: str, via: Points, radii: tuple[float, ...]) -> Branch:
    """Return a smooth branch through `via` (m, 3) whose radius runs through `radii`, evenly spaced on it."""
    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(via, axis=0), axis=1))])
    at = np.linspace(0, chord[-1], max(9, round(chord[-1] * 1.1 / STEP_MM)))
    radius = np.interp(at, np.linspace(0, chord[-1], len(radii)), radii)
    return Branch(name, CubicSpline(chord, via)(at), radius)


def wind(rng: np.random.Generator, branch: Branch, amount: float) -> Branch:
    """Return the branch pushed aside by about `amount` of its length, its ends where they were."""
    n = len(branch.points)
    push = gaussian_filter1d(rng.standard_normal((n, 3)), max(n / 9, 6), axis=0, mode="constant")
    push /= push.std() + 1e-9
    window = np.sin(np.linspace(0, np.pi, n))[:, None]
    return replace(branch, points=branch.points + push * window * amount * min(n * STEP_MM, 25.0))


def grow(rng: np.random.Generator, root: Branch, goals: Points, habit: Habit) -> list[Branch]:
    """Return the branches, named as `root`, that lead on from its end to each of `goals` (m, 3)."""
    found: list[Branch] = []
    todo = [(root.points[-1], _unit(root.points[-1] - root.points[-8]), float(root.radius[-1]), goals)]
    while todo:
        start, heading, radius, ahead = todo.pop()
        branch, arrive = _branch(rng, root.name, start, heading, radius, ahead, habit)
        found.append(branch)
        if len(ahead) == 1:
            continue
        end, last = branch.points[-1], float(branch.radius[-1])
        for part in _halves(ahead):
            thinner = max(habit.leaf_radius, last * (len(part) / len(ahead)) ** (1 / 3))
            turn = _unit(arrive + 0.7 * _unit(part.mean(axis=0) - end))
            todo.append((end, turn, min(thinner, last), part))
    return found


def _branch(
    rng: np.random.Generator,
    name: str,
    start: Points,
    heading: Points,
    radius: float,
    goals: Points,
    habit: Habit,
) -> tuple[Branch, Points]:
    """Return a branch part of the way to its goals, all the way if there is one, and its last direction."""
    leaf = len(goals) == 1
    to = goals.mean(axis=0) - start
    end = start + to * (1.0 if leaf else rng.uniform(0.3, 0.55))
    reach = np.linalg.norm(end - start)
    arrive = _unit(0.5 * heading + _unit(to))
    via = _bezier(start, start + heading * reach * 0.35, end - arrive * reach * 0.3, end)
    last = min(radius, max(habit.leaf_radius, radius * (0.75 if leaf else 0.95)))
    return wind(rng, line(name, via, (radius, last)), habit.tortuosity), arrive


def _halves(goals: Points) -> tuple[Points, Points]:
    """Split goals (m, 3) in two, across the direction in which they spread most."""
    centred = goals - goals.mean(axis=0)
    order = np.argsort(centred @ np.linalg.svd(centred, full_matrices=False)[2][0], kind="stable")
    half = max(1, len(goals) // 2)
    return goals[order[:half]], goals[order[half:]]


def _bezier(a: Points, b: Points, c: Points, d: Points) -> Points:
    t = np.linspace(0, 1, 7)[:, None]
    return np.asarray((1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d)


def _unit(vector: Points) -> Points:
    return np.asarray(vector / (np.linalg.norm(vector) + 1e-9))
