"""Arteries that are closed, sacs that grow on them, and blood that flows slowly."""

from dataclasses import replace

import numpy as np

from simulations.hospitals.branching import Branch, line
from simulations.hospitals.findings import Findings
from simulations.hospitals.stenosis import DOWNSTREAM

_THIN_MM = 1.0  # radius below which slow blood is saturated before it arrives
_SACS = ("ACom", "M1-R", "M1-L", "BA", "A1-R", "A1-L")  # where most aneurysms grow


def diseased(rng: np.random.Generator, tree: list[Branch], found: Findings) -> list[Branch]:
    """Return the arteries of one head with what the patient has of these."""
    if found.occluded:
        tree = _without(tree, found.occluded)
    if found.slow < 1.0:
        tree = [replace(b, flow=b.flow * found.slow) if b.radius.mean() < _THIN_MM else b for b in tree]
    if found.aneurysm:
        tree = [*tree, _sac(rng, tree, found.aneurysm)]
    return tree


def _without(tree: list[Branch], name: str) -> list[Branch]:
    """Return the tree without a segment and without what it alone feeds."""
    segment, _, side = name.partition("-")
    gone = {segment, *DOWNSTREAM.get(segment, ())}
    return [b for b in tree if not (b.name.partition("-")[0] in gone and b.name.partition("-")[2] == side)]


def _sac(rng: np.random.Generator, tree: list[Branch], radius: float) -> Branch:
    """Return a round sac on the end of a large artery; slow, whirling blood leaves it duller than its artery."""
    roots = [b for b in tree if b.name in _SACS]
    root = roots[int(rng.integers(len(roots)))]
    away = rng.standard_normal(3)
    away /= np.linalg.norm(away)
    ends = np.linspace(0.3, 1.7, 5)[:, None] * radius * away
    half = radius * 0.75
    sac = line("aneurysm", root.points[-1] + ends, (0.5 * half, half, 1.2 * half, half, 0.5 * half))
    return replace(sac, flow=root.flow * float(rng.uniform(0.6, 0.95)))
