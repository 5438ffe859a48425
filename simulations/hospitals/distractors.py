"""What is bright on an angiogram but no artery of the brain, and the air beside it.

None of it is labelled, as hand-drawn vessel trees leave it out too: fat behind the eyes, pituitary, choroid
plexus, venous sinuses, arteries of the scalp, and in some heads blood that leaked weeks ago, a tumour, or veins
full of contrast agent.
"""

from dataclasses import replace

import numpy as np

from shared.imaging.scan import Volume
from simulations.hospitals.branching import Branch, Points, line, wind
from simulations.hospitals.findings import Findings
from simulations.hospitals.grid import Grid, smooth_noise
from simulations.hospitals.rasterise import coverage
from simulations.hospitals.shapes import Ball, border, depth, mirrored, paint
from simulations.hospitals.site import Site

AIR = 0.02
_OLD_BLEED = 0.08  # share of heads

_TRANSVERSE = (
    (3.0, -86.0, -4.0),
    (28.0, -78.0, -6.0),
    (46.0, -58.0, -10.0),
    (50.0, -42.0, -18.0),
    (38.0, -32.0, -34.0),
)
_SCALP = ((74.0, -8.0, -48.0), (75.0, -4.0, -20.0), (75.5, 4.0, 0.0), (73.0, 20.0, 20.0), (64.0, 40.0, 36.0))


def add_distractors(rng: np.random.Generator, picture: Volume, grid: Grid, site: Site, found: Findings) -> None:
    """Paint them over the picture (I, J, K) of one head, in place."""
    for ball, value in _blobs(rng, site):
        paint(picture, value, border(depth(grid, ball), 1.2 * grid.edge))
    veins = _tubes(rng)
    if found.mass:
        _mass(rng, picture, grid, found.mass)
    if found.agent:
        veins = [replace(vein, flow=float(rng.uniform(0.75, 1.1))) for vein in [*veins, *_cortical(rng)]]
    _, bright = coverage(veins, grid)
    np.maximum(picture, bright, out=picture)


def _blobs(rng: np.random.Generator, site: Site) -> list[tuple[Ball, float]]:
    """Return ellipsoids and their brightness, in the order they are painted."""
    plexus, pituitary = site.grey * rng.uniform((1.1, 1.0), (1.5, 1.5))
    paired = [
        (Ball((30.0, 48.0, -16.0), (17.0, 24.0, 15.0)), 0.9 * site.fat),  # orbit
        (Ball((31.0, 62.0, -16.0), (12.0, 12.0, 12.0)), 0.8 * site.csf),  # eye
        (Ball((22.0, 44.0, -15.0), (2.2, 20.0, 2.2)), site.grey),  # optic nerve
        (Ball((44.0, 46.0, -15.0), (2.0, 20.0, 5.0)), site.grey),  # eye muscle
        (Ball((38.0, -38.0, -28.0), (9.0, 8.0, 8.0)), AIR),  # mastoid
        (Ball((20.0, -42.0, 15.0), (2.5, 6.0, 3.0)), float(plexus)),
    ]
    found = [(side, value) for ball, value in paired for side in mirrored(ball)]
    found += [
        (Ball((0.0, 26.0, -18.0), (11.0, 14.0, 8.0)), AIR),  # sphenoid sinus
        (Ball((0.0, 58.0, -20.0), (8.0, 18.0, 14.0)), AIR),  # nose
        (Ball((0.0, 3.0, -12.0), (5.0, 4.0, 3.0)), float(pituitary)),
    ]
    where, size = rng.uniform((-45, -60, 10), (45, 40, 45)), rng.uniform(3, 9, 3)
    if rng.uniform() < _OLD_BLEED:
        found.append((Ball((where[0], where[1], where[2]), (size[0], size[1], size[2])), 0.8))
    return found


def _tubes(rng: np.random.Generator) -> list[Branch]:
    """Return faint venous sinuses and bright scalp arteries."""
    turn = np.linspace(0.15, 1.05, 9) * np.pi
    sagittal = np.stack([0 * turn, 82 * np.cos(turn) - 10, 22 + 64 * np.sin(turn)], axis=1)
    tubes = [replace(line("sagittal sinus", sagittal, (2.5, 3.5)), flow=float(rng.uniform(0.3, 0.6)))]
    for m in (1.0, -1.0):
        flow, calibre = rng.uniform((0.25, 1.4), (0.6, 2.8))  # one transverse sinus is often small
        tubes += [
            replace(line("transverse sinus", _side(rng, m, _TRANSVERSE), (calibre, calibre)), flow=float(flow)),
            replace(wind(rng, line("scalp artery", _side(rng, m, _SCALP), (0.9, 0.6)), 0.06), flow=0.85),
        ]
    return tubes


def _mass(rng: np.random.Generator, picture: Volume, grid: Grid, radius: float) -> None:
    """Paint a tumour that takes up contrast agent, mottled, now and then dark in the middle."""
    x, y, z = rng.uniform((-40, -55, 0), (40, 40, 40))
    ball = Ball((x, y, z), (radius, radius * float(rng.uniform(0.7, 1.2)), radius))
    mottled = np.asarray(float(rng.uniform(0.6, 0.95)) * (1 + 0.2 * smooth_noise(rng, grid, 4.0)), np.float32)
    paint(picture, mottled, border(depth(grid, ball) + smooth_noise(rng, grid, 6.0), 2.0))
    if rng.uniform() < 0.4:
        paint(picture, 0.12, border(depth(grid, Ball((x, y, z), (radius / 2,) * 3)), 2.0))


def _cortical(rng: np.random.Generator) -> list[Branch]:
    """Return veins over the convexity that run up to the sagittal sinus."""
    veins = []
    for m in rng.choice((-1.0, 1.0), size=int(rng.integers(6, 12))):
        y, low = rng.uniform(-70, 45), rng.uniform(0.15, 0.6)
        turn = np.linspace(low, 0.5, 7) * np.pi
        reach = 0.97 * np.sqrt(max(1 - ((y + 10) / 84) ** 2, 0.1))
        via = np.stack([m * 62 * np.cos(turn), y + 6 * (turn - turn[0]), 22 + 60 * np.sin(turn)], axis=1)
        via[:, [0, 2]] = via[:, [0, 2]] * reach + [0, 22 * (1 - reach)]
        calibre = float(rng.uniform(0.7, 1.4))
        veins.append(wind(rng, line("cortical vein", via, (calibre, 1.2 * calibre)), 0.08))
    return veins


def _side(rng: np.random.Generator, m: float, via: tuple[tuple[float, float, float], ...]) -> Points:
    return np.asarray((np.array(via) + rng.normal(0, 1.0, (len(via), 3))) * (m, 1, 1))
