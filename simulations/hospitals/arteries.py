"""The arteries of one head: the circle of Willis and the trees that grow from it over the brain."""

from dataclasses import dataclass, replace

import numpy as np

from simulations.hospitals.branching import Branch, Habit, Points, grow, wind
from simulations.hospitals.circle import circle

LEAF_MM = 0.68  # radius of the thinnest branch, as thin as an angiogram of this resolution shows


@dataclass(frozen=True)
class Territory:
    """A part of the brain that a trunk's tree supplies, on the right; mirrored for the left."""

    name: str
    root: str  # segment its tree grows from
    low: tuple[float, float, float]  # corner of a box in which the leaves end, millimetres
    high: tuple[float, float, float]
    leaves: tuple[int, int]  # fewest and most
    lateral: bool = False  # on the convexity: x follows from y and z


_TERRITORIES = (
    Territory("MCA", "M1", (30.0, -58.0, 2.0), (62.0, 46.0, 52.0), (9, 14), lateral=True),
    Territory("MCAt", "M1", (50.0, -34.0, -16.0), (60.0, 20.0, 0.0), (1, 3), lateral=True),
    Territory("ACA", "A2", (2.0, -40.0, 34.0), (9.0, 60.0, 62.0), (4, 6)),
    Territory("PCA", "P2", (6.0, -84.0, -8.0), (38.0, -50.0, 26.0), (4, 6)),
    Territory("SCA", "SCA", (6.0, -62.0, -16.0), (34.0, -38.0, -8.0), (1, 2)),
)


def arteries(rng: np.random.Generator, age: float) -> list[Branch]:
    """Return all arteries of one head; they wind and widen with age (years).

    Branches are named by segment or territory and side; those of one tree share a name. Blood in thin
    branches is slower and less bright.
    """
    tortuosity = float(rng.uniform(0.035, 0.06) * (0.7 + age / 120))
    calibre = float(np.clip(rng.normal(1.1, 0.06), 0.97, 1.24) * (0.94 + age / 900))
    tree = [wind(rng, trunk, 0.35 * tortuosity) for trunk in circle(rng)]
    for root in list(tree):
        segment, _, side = root.name.partition("-")
        for territory in _TERRITORIES:
            if territory.root == segment:
                start = replace(root, name=f"{territory.name}-{side}")
                tree += grow(rng, start, _goals(rng, territory, side), Habit(LEAF_MM, tortuosity))
    return [
        replace(b, radius=b.radius * calibre, flow=float(0.65 + 0.35 * min(1.0, b.radius.mean() / 1.1)))
        for b in tree
    ]


def _goals(rng: np.random.Generator, territory: Territory, side: str) -> Points:
    """Return goals (m, 3) spread over a territory."""
    count = rng.integers(*territory.leaves, endpoint=True)
    goals = rng.uniform(territory.low, territory.high, (count, 3))
    if territory.lateral:
        flat = 1 - ((goals[:, 1] + 10) / 80) ** 2 - ((goals[:, 2] - 28) / 56) ** 2
        goals[:, 0] = 62.0 * np.sqrt(np.clip(flat, 0.2, 1))
    return np.asarray(goals * (1.0 if side == "R" else -1.0, 1.0, 1.0))
