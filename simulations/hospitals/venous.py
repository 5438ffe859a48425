"""Tubes that are bright on an angiogram but no artery of the brain: venous sinuses and scalp arteries.

They are not labelled, as they are not in hand-drawn vessel trees either.
"""

from dataclasses import replace

import numpy as np

from simulations.hospitals.branching import Branch, Points, line, wind


def distractors(rng: np.random.Generator) -> list[Branch]:
    """Return faint venous sinuses and bright scalp arteries of one head, in millimetres."""
    turn = np.linspace(0.15, 1.05, 9) * np.pi
    sagittal = np.stack([0 * turn, -10 - 82 * np.cos(np.pi - turn), 22 + 64 * np.sin(turn)], axis=1)
    faint = float(rng.uniform(0.35, 0.6))
    tubes = [replace(line("sagittal sinus", sagittal, (2.5, 3.5)), flow=faint)]
    for m in (1.0, -1.0):
        tubes += [
            replace(
                line("transverse sinus", _side(rng, m, _TRANSVERSE), (2.6, 3.0)),
                flow=float(rng.uniform(0.3, 0.6)),
            ),
            replace(wind(rng, line("scalp artery", _side(rng, m, _SCALP), (0.9, 0.5)), 0.06), flow=0.9),
        ]
    return tubes


_TRANSVERSE = (
    (3.0, -88.0, -4.0),
    (28.0, -78.0, -6.0),
    (48.0, -56.0, -10.0),
    (52.0, -38.0, -18.0),
    (40.0, -30.0, -34.0),
)
_SCALP = ((74.0, -8.0, -48.0), (76.0, -4.0, -20.0), (76.5, 4.0, 0.0), (75.0, 20.0, 20.0), (66.0, 40.0, 36.0))


def _side(rng: np.random.Generator, m: float, via: tuple[tuple[float, float, float], ...]) -> Points:
    return np.asarray((np.array(via) + rng.normal(0, 1.0, (len(via), 3))) * (m, 1, 1))
