"""Narrowed arteries."""

from dataclasses import replace

import numpy as np

from simulations.hospitals.branching import STEP_MM, Branch

# Where intracranial stenoses sit, and what lies downstream of each.
DOWNSTREAM: dict[str, tuple[str, ...]] = {
    "ICA": ("M1", "MCA", "MCAt", "A1"),
    "M1": ("MCA", "MCAt"),
    "A1": (),
    "BA": ("P1", "P2", "PCA", "SCA"),
    "P2": ("PCA",),
}


def narrow(rng: np.random.Generator, tree: list[Branch]) -> list[Branch]:
    """Return the tree with one large artery narrowed by 50-85 % over 3-8 mm, and less flow downstream."""
    name = str(rng.choice([b.name for b in tree if b.name.partition("-")[0] in DOWNSTREAM]))
    severity, width, place = rng.uniform((0.5, 0.75, 0.45), (0.85, 2.0, 0.8))
    segment, _, side = name.partition("-")

    def after(branch: Branch) -> Branch:
        if branch.name == name:
            n = len(branch.radius)
            dip = np.exp(-0.5 * ((np.arange(n) - place * n) * STEP_MM / width) ** 2)
            return replace(branch, radius=branch.radius * (1 - severity * dip))
        territory, _, other = branch.name.partition("-")
        starved = territory in DOWNSTREAM[segment] and side in ("", other)
        return replace(branch, flow=branch.flow * (1 - 0.45 * severity)) if starved else branch

    return [after(b) for b in tree]
