"""The large arteries of one head: the circle of Willis and the trunks that feed it and leave it.

Positions are millimetres of a standard head whose origin is the middle of the circle; calibres follow the
usual radiological figures (internal carotid 4-5 mm across, basilar 3-4 mm, middle cerebral 2.5-3 mm). Heads
differ in where the trunks meet and run, and in the common variants of the circle: a thin or unseen
communicating artery, a thin first segment of the anterior cerebral, a posterior cerebral fed by the carotid.
"""

import numpy as np

from simulations.hospitals.branching import Branch, Points, line

Node = dict[str, Points]  # where large arteries meet, (3,) millimetres each

_MEETING = {
    "basilar tip": (0.0, -12.0, -1.0),
    "vertebrals": (0.0, -16.0, -27.0),
    "acom": (0.0, 14.0, 3.0),
    "terminus R": (11.0, 4.0, 0.0),
    "terminus L": (-11.0, 4.0, 0.0),
    "pcom R": (9.5, -11.0, 0.5),
    "pcom L": (-9.5, -11.0, 0.5),
    "genu R": (32.0, 2.0, 1.0),
    "genu L": (-32.0, 2.0, 1.0),
}
_CAROTID = (
    (25, -22, -48), (25, -21, -34), (22, -17, -26.5), (15, -7, -23.5), (11.5, -1, -19), (12, 5, -14),
    (12, 11, -11), (11.5, 12.5, -6.5), (11, 8, -3.5),
)  # fmt: skip


def circle(rng: np.random.Generator) -> list[Branch]:
    """Return the trunks, named by segment and side: ICA-R, M1-L, ..., and BA and ACom in the midline."""
    node = {name: np.array(at) + rng.normal(0, 1.0, 3) for name, at in _MEETING.items()}
    trunks = _midline(rng, node)
    for m, s in ((1, "R"), (-1, "L")):
        trunks += [*_anterior(rng, node, m, s), *_posterior(rng, node, m, s)]
    return trunks


def _via(rng: np.random.Generator, m: int, *points: tuple[float, float, float]) -> Points:
    """Return points (n, 3) of the right side, mirrored where m is -1, each moved a little."""
    return np.array(points) * (m, 1, 1) + rng.normal(0, 0.8, (len(points), 3))


def _between(a: Points, b: Points, aside: Points) -> Points:
    """Return three points (3, 3) from a to b, the middle one pushed aside."""
    return np.array([a, (a + b) / 2 + aside, b])


def _midline(rng: np.random.Generator, node: Node) -> list[Branch]:
    sway = rng.normal(0, (1.6, 0.7, 0.5))
    wide = np.array((1.6, 0.0, 0.0))
    return [
        line("BA", _between(node["vertebrals"], node["basilar tip"], sway), (1.9, 1.7)),
        line("ACom", _between(node["acom"] - wide, node["acom"] + wide, np.array((0, 0.4, 0.3))), (0.75, 0.75)),
    ]


def _anterior(rng: np.random.Generator, node: Node, m: int, s: str) -> list[Branch]:
    """Return what the carotid of one side feeds, and the carotid."""
    end, genu = node[f"terminus {s}"], node[f"genu {s}"]
    acom = node["acom"] + (1.6 * m, 0, 0)
    carotid = _via(rng, m, *_CAROTID)
    fork = genu + _via(rng, m, (2, -4, 5))[0]
    arch = (end + genu) / 2 + _via(rng, m, (0, 1, 0.8))[0] * (0.5, 1, 1)
    a1 = 0.6 if rng.uniform() < 0.12 else float(rng.uniform(1.05, 1.3))
    return [
        line(f"ICA-{s}", np.array([*carotid, end]), (2.6, 2.5, 2.3, 1.85)),
        line(f"M1-{s}", np.array([end, arch, genu, fork]), (1.55, 1.4)),
        line(f"A1-{s}", _between(end, acom, _via(rng, m, (0, -1, 1))[0]), (a1, a1)),
        line(f"A2-{s}", np.array([acom, *_via(rng, m, (2, 20, 6), (2, 28, 14), (2, 33, 24))]), (1.2, 1.05)),
        line(f"OA-{s}", np.array([carotid[-2], *_via(rng, m, (15, 24, -8), (14, 40, -6))]), (0.7, 0.6)),
    ]


def _posterior(rng: np.random.Generator, node: Node, m: int, s: str) -> list[Branch]:
    """Return the vertebral artery of one side and what the basilar artery feeds there."""
    tip, pcom, end = node["basilar tip"], node[f"pcom {s}"], node[f"terminus {s}"]
    fetal = rng.uniform() < 0.1
    p1 = 0.65 if fetal else float(rng.uniform(1.1, 1.25))
    bow = _via(rng, m, (0, 1.0, 1.5))[0] * (0.3, 1, 1)
    found = [
        line(
            f"VA-{s}",
            np.array([*_via(rng, m, (11, -24, -50), (8, -22, -40)), node["vertebrals"]]),
            (1.6, 1.4),
        ),
        line(f"P1-{s}", _between(tip, pcom, bow), (p1, p1)),
        line(f"P2-{s}", np.array([pcom, *_via(rng, m, (15, -19, 1.5), (18, -30, 4))]), (1.2, 1.05)),
        line(
            f"SCA-{s}",
            np.array([tip - (0, 1, 2.5), *_via(rng, m, (9, -17, -5), (15, -25, -6))]),
            (0.85, 0.8),
        ),
    ]
    thick = 1.15 if fetal else float(rng.uniform(0.6, 0.9))
    if fetal or rng.uniform() < 0.75:  # in one head of four it is too thin to be seen
        found.append(line(f"PCom-{s}", _between(end - (0, 2, 1), pcom, np.array((0, 0, -1))), (thick, thick)))
    return found
