"""Narrowed arteries."""

from dataclasses import replace

import numpy as np

from simulations.hospitals.branching import STEP_MM, Branch

# Where intracranial stenoses sit, and what lies downstream of each.
_DOWNSTREAM = {
    "M1": ("MCA",),
    "ICA": ("M1", "MCA", "A1"),
    "BA": ("P1", "P2", "PCA"),
    "P2": ("PCA",),
    "A1": (),
}


def narrow(rng: np.random.Generator, tree: list[Branch]) -> list[Branch]:
    """Return the tree with one large artery narrowed by 50-85 % over 3-8 mm, and less flow downstream of it."""
    names = [b.name for b in tree if b.name.split("-")[0] in _DOWNSTREAM]
    name = str(rng.choice(names))
    kind, _, side = name.partition("-")
    severity, width = rng.uniform((0.5, 0.75), (0.85, 2.0))
    after = tuple(f"{d}-{side}" if side else d for d in _DOWNSTREAM[kind])
    less = 1 - 0.45 * severity

    def changed(branch: Branch) -> Branch:
        if branch.name == name:
            n = len(branch.radius)
            middle = rng.uniform(0.45, 0.8) * n
            dip = np.exp(-0.5 * ((np.arange(n) - middle) * STEP_MM / width) ** 2)
            return replace(branch, radius=branch.radius * (1 - severity * dip))
        return replace(branch, flow=branch.flow * less) if branch.name.startswith(after) else branch

    return [changed(b) for b in tree]
