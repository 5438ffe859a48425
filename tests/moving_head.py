"""A head in three dimensions that moves while a bolus goes through it; drawn, not interpolated, where it lies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.imaging.perfusion.rigid import STILL, Grid, Pose
from shared.phantoms.bolus import rician
from tests.perfusion import ARTERY, BASELINES, FLUID, GREY, KAPPA, LATE, RELAXIVITY, WHITE, Head

FRAMES = 44
EDGES = np.array([4.0, 4.0, 6.0])  # mm
_SOFT_MM = 5.0  # over which one tissue passes into the next
_HEAD = Head(frames=FRAMES)


@dataclass(frozen=True)
class MovingHead:
    """How the head lies in each frame, and what is seen of it."""

    poses: Sequence[Pose] = (STILL,) * FRAMES
    shape: tuple[int, int, int] = (30, 36, 16)
    noise: float = 5.0

    def series(self) -> NDArray[np.float32]:
        """Return the signal (i, j, k, t)."""
        points = Grid.of(self.shape, EDGES).points(np.ones(self.shape, bool))
        curves = {
            label: BASELINES[label]
            * np.exp(-_HEAD.timing.echo_s * (KAPPA if label == ARTERY else 1) * RELAXIVITY * values)
            for label, values in _HEAD.curves().items()
        }
        clean = np.zeros((points.shape[1], FRAMES))
        for t, pose in enumerate(self.poses):
            back = pose.inverse()
            for label, share in _shares(back.turn @ points + back.shift[:, None]).items():
                clean[:, t] += share * curves[label][t]
        noisy = rician(clean, self.noise, np.random.default_rng(1)) if self.noise else clean
        return noisy.reshape(*self.shape, FRAMES).astype(np.float32)


def _shares(points: NDArray[np.float64]) -> dict[int, NDArray[np.float64]]:
    """Return how much of what is at points (3, n) is what: shells that share no middle, arteries, a late side."""
    inside = [
        _ball(points, *ball)
        for ball in (((0, 0, 0), (50, 62, 40)), ((0, 4, 3), (36, 45, 27)), ((8, 12, 6), (9, 18, 9)))
    ]
    grey, white, fluid = inside[0] - inside[1], inside[1] - inside[2], inside[2]
    late = np.clip((points[0] - 15) / _SOFT_MM + 0.5, 0, 1)
    artery = _ball(points, (-20, 34, -12), (9, 9, 12))
    tissue = {GREY: grey, WHITE: white * (1 - late), LATE: white * late, FLUID: fluid}
    return {label: share * (1 - artery) for label, share in tissue.items()} | {ARTERY: artery}


def _ball(points: NDArray[np.float64], middle: tuple[float, ...], radii: tuple[float, ...]) -> NDArray[np.float64]:
    r = np.linalg.norm((points - np.array(middle)[:, None]) / np.array(radii)[:, None], axis=0)
    return np.asarray(np.clip((1 - r) * min(radii) / _SOFT_MM + 0.5, 0, 1))
