"""The arteries of one head: the circle of Willis, what feeds it and what leaves it.

Positions are in millimetres of a standard head whose origin is the middle of the circle; calibres follow the
usual radiological figures (internal carotid 4-5 mm across, basilar 3 mm, middle cerebral 2.5-3 mm).
"""

from dataclasses import replace

import numpy as np

from simulations.hospitals.branching import Branch, Points, grow, line, wind

# Goals of each tree as boxes (low, high) in the standard head, mirrored for the left; pushed out to the cortex.
_TERRITORY = {
    "MCA": ((30.0, -58.0, 2.0), (62.0, 48.0, 56.0)),
    "MCA-temporal": ((50.0, -30.0, -14.0), (60.0, 22.0, 2.0)),
    "ACA": ((2.0, -40.0, 34.0), (9.0, 62.0, 64.0)),
    "PCA": ((6.0, -84.0, -8.0), (40.0, -52.0, 26.0)),
    "SCA": ((6.0, -62.0, -16.0), (34.0, -38.0, -8.0)),
}
_LEAVES = {"MCA": (9, 13), "MCA-temporal": (2, 3), "ACA": (4, 6), "PCA": (4, 6), "SCA": (2, 3)}


def arteries(rng: np.random.Generator, age: float) -> list[Branch]:
    """Return all arteries of one head; they wind and widen with age (years)."""
    tortuosity = float(rng.uniform(0.035, 0.06) * (0.7 + age / 120))
    calibre = float(rng.normal(1.0, 0.06) * (0.94 + age / 900))
    node = _nodes(rng)
    trunks = [*_shared(rng, node), *_side(rng, node, 1.0, "R"), *_side(rng, node, -1.0, "L")]
    tree = [wind(rng, trunk, 0.35 * tortuosity) for trunk in trunks]
    for root, territory in _roots(tree):
        side = 1.0 if root.name.endswith("R") else -1.0
        goals = _goals(rng, territory, side)
        tree += grow(rng, replace(root, name=f"{territory}-{root.name[-1]}"), goals, 0.42, tortuosity)
    return [replace(b, radius=b.radius * calibre) for b in tree]


def _roots(trunks: list[Branch]) -> list[tuple[Branch, str]]:
    grows = {"M1": ("MCA", "MCA-temporal"), "A2": ("ACA",), "P2": ("PCA",), "SCA": ("SCA",)}
    return [(t, territory) for t in trunks for territory in grows.get(t.name[:-2], ())]


def _goals(rng: np.random.Generator, territory: str, side: float) -> Points:
    """Return goals (m, 3) spread over a territory."""
    low, high = (np.array(corner) for corner in _TERRITORY[territory])
    goals = rng.uniform(low, high, (rng.integers(*_LEAVES[territory], endpoint=True), 3))
    if territory.startswith("MCA"):  # on the convexity of the brain
        goals[:, 0] = 62.0 * np.sqrt(
            np.clip(1 - ((goals[:, 1] + 10) / 80) ** 2 - ((goals[:, 2] - 28) / 56) ** 2, 0.2, 1)
        )
    return np.asarray(goals * (side, 1.0, 1.0))


def _nodes(rng: np.random.Generator) -> dict[str, Points]:
    """Return the points where large arteries meet, for one head."""
    standard = {
        "basilar tip": (0.0, -12.0, -1.0),
        "vertebral junction": (0.0, -16.0, -27.0),
        "acom": (0.0, 14.0, 3.0),
        **{f"terminus {s}": (11.0 * m, 4.0, 0.0) for s, m in (("R", 1), ("L", -1))},
        **{f"pcom {s}": (9.5 * m, -11.0, 0.5) for s, m in (("R", 1), ("L", -1))},
        **{f"genu {s}": (32.0 * m, 2.0, 1.0) for s, m in (("R", 1), ("L", -1))},
    }
    return {name: np.array(at) + rng.normal(0, 1.0, 3) for name, at in standard.items()}


def _shared(rng: np.random.Generator, node: dict[str, Points]) -> list[Branch]:
    """Return the arteries of the midline."""
    tip, junction, acom = node["basilar tip"], node["vertebral junction"], node["acom"]
    sway = rng.normal(0, (1.6, 0.7, 0.5))
    return [
        line("BA", np.array([junction, (junction + tip) / 2 + sway, tip]), (1.75, 1.6)),
        line("ACom", np.array([acom - (1.6, 0, 0), acom + (0, 0.4, 0.3), acom + (1.6, 0, 0)]), (0.7, 0.7)),
    ]


def _side(rng: np.random.Generator, node: dict[str, Points], m: float, s: str) -> list[Branch]:
    """Return the trunks of one side; m is 1 on the right, -1 on the left, s its letter."""
    end, pcom, genu = node[f"terminus {s}"], node[f"pcom {s}"], node[f"genu {s}"]
    acom, tip, junction = node["acom"] + (1.6 * m, 0, 0), node["basilar tip"], node["vertebral junction"]

    def via(*points: tuple[float, float, float]) -> Points:
        return np.array(points) * (m, 1, 1) + rng.normal(0, 0.8, (len(points), 3))

    carotid = via(
        (25, -22, -48), (25, -21, -34), (22, -17, -26.5), (15, -7, -23.5), (11.5, -1, -19), (12, 5, -14),
        (12, 11, -11), (11.5, 12.5, -6.5), (11, 8, -3.5),
    )  # fmt: skip
    fork = genu + via((2, -4, 5))[0]
    peduncle = via((15, -19, 1.5), (18, -30, 4))
    hypoplastic = rng.uniform() < 0.12
    a1 = 0.55 if hypoplastic else float(rng.uniform(0.95, 1.2))
    found = [
        line(f"ICA-{s}", np.array([*carotid, end]), (2.5, 2.4, 2.2, 1.75)),
        line(
            f"M1-{s}",
            np.array([end, (end + genu) / 2 + via((0, 1, 0.8))[0] * (0.5, 1, 1), genu, fork]),
            (1.4, 1.25),
        ),
        line(f"A1-{s}", np.array([end, (end + acom) / 2 + via((0, -1, 1))[0], acom]), (a1, a1)),
        line(f"A2-{s}", np.array([acom, *via((2, 20, 6), (2, 28, 14), (2, 33, 24))]), (1.1, 0.95)),
        line(
            f"P1-{s}",
            np.array([tip, (tip + pcom) / 2 + via((0, 1.0, 1.5))[0] * (0.3, 1, 1), pcom]),
            (1.1, 1.1),
        ),
        line(f"P2-{s}", np.array([pcom, *peduncle]), (1.1, 0.95)),
        line(f"SCA-{s}", np.array([tip - (0, 1, 2.5), *via((9, -17, -5), (15, -25, -6))]), (0.7, 0.6)),
        line(f"VA-{s}", np.array([*via((11, -24, -50), (8, -22, -40)), junction]), (1.5, 1.3)),
        line(f"OA-{s}", np.array([*via((11.5, 12.5, -6)), *via((15, 24, -8), (14, 40, -6))]), (0.6, 0.45)),
    ]
    if rng.uniform() < 0.75:  # in one head of four the posterior communicating artery cannot be seen
        thick = float(rng.uniform(0.45, 0.9))
        found.append(
            line(f"PCom-{s}", np.array([end - (0, 2, 1), (end + pcom) / 2 - (0, 0, 1), pcom]), (thick, thick))
        )
    return found
