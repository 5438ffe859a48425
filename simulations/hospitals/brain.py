"""The brain of a DWI phantom: every structure painted once, as label and as brightness.

Half axes and centres are millimetres of the standard head (see `bending`), after the usual places of the
structures in the MNI template. A voxel has the label of what fills at least half of it; its brightness has every
structure's share, so borders have partial volume.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.imaging.anatomy import STRUCTURES
from shared.imaging.scan import Volume
from simulations.hospitals.cortex import Cortex
from simulations.hospitals.shapes import Ball, Points, border, depth, mirrored, paint

_NUMBER = {s.name: s.number for s in STRUCTURES}
_STEM = (
    Ball((0.0, -27.0, -34.0), (17.0, 13.0, 15.0)),  # pons
    Ball((0.0, -24.0, -13.0), (15.0, 12.0, 12.0)),  # midbrain
    Ball((0.0, -39.0, -54.0), (9.0, 8.0, 22.0)),  # medulla
)
_CEREBELLUM = (
    Ball((23.0, -62.0, -33.0), (28.0, 28.0, 22.0)),
    Ball((0.0, -60.0, -25.0), (15.0, 22.0, 21.0)),
)
_ARBOR = Ball((20.0, -58.0, -34.0), (19.0, 17.0, 9.0))  # white matter of the cerebellum
_NUCLEI = (
    ("thalamus", Ball((11.5, -18.0, 8.0), (9.5, 16.0, 10.5))),
    ("caudate", Ball((14.5, 14.0, 7.0), (6.5, 10.0, 11.0))),
    ("caudate", Ball((18.5, -4.0, 20.0), (4.5, 18.0, 5.0))),
    ("putamen", Ball((27.5, 2.0, 2.0), (6.0, 18.0, 11.0))),
    ("pallidum", Ball((20.5, -4.0, 0.0), (5.0, 9.5, 7.5))),
    ("amygdala", Ball((23.0, -4.0, -19.0), (7.0, 7.0, 7.0))),
    ("hippocampus", Ball((27.0, -23.0, -14.0), (8.0, 18.0, 7.0))),
)
_VENTRICLES = (
    Ball((8.0, 25.0, 9.0), (5.0, 14.0, 8.0)),  # frontal horn
    Ball((9.5, -4.0, 21.0), (6.0, 26.0, 6.0)),  # body
    Ball((22.0, -40.0, 13.0), (6.5, 11.0, 10.0)),  # atrium
    Ball((24.0, -60.0, 7.0), (3.5, 15.0, 5.5)),  # occipital horn
    Ball((35.0, -20.0, -12.0), (3.0, 18.0, 3.5)),  # temporal horn
)
_SEPTUM_MM = 1.0  # half the wall between the lateral ventricles
_THIRD = Ball((0.0, -9.0, 3.0), (2.6, 13.0, 9.0))
_FOURTH = Ball((0.0, -45.0, -32.0), (7.0, 5.0, 11.0))
_CISTERNS = (
    Ball((0.0, 8.0, -18.0), (13.0, 11.0, 8.0)),  # suprasellar
    Ball((0.0, -10.0, -32.0), (14.0, 6.0, 20.0)),  # prepontine
    Ball((18.0, -28.0, -8.0), (4.5, 12.0, 9.0)),  # ambient
    Ball((-18.0, -28.0, -8.0), (4.5, 12.0, 9.0)),
    Ball((0.0, -42.0, -3.0), (13.0, 6.0, 7.0)),  # quadrigeminal
    Ball((0.0, -68.0, -58.0), (12.0, 14.0, 8.0)),  # cisterna magna
)


@dataclass(frozen=True)
class Shape:
    """What differs from brain to brain, beside bends."""

    atrophy: float  # 0 none, 1 marked
    ventricles: tuple[float, float]  # width relative to the standard, left and right


def aged_shape(rng: np.random.Generator, age: int) -> Shape:
    """Return the brain of a patient of that age: fluid spaces widen with age, more in some."""
    atrophy = float(np.clip((age - 35) / 55 + rng.normal(0, 0.17), 0, 1.1))
    wide = (1 + 0.6 * atrophy) * float(np.exp(rng.normal(0, 0.15)))
    left, right = wide * np.exp(rng.normal(0, 0.08, size=2))
    return Shape(atrophy, (float(left), float(right)))


@dataclass
class Brain:
    """A brain while it is painted."""

    labels: NDArray[np.int16]  # (I, J, K), FreeSurfer numbers
    signal: Volume  # (I, J, K), white matter is 1
    edge: float  # millimetres over which a border is blurred

    def paint(self, name: str | NDArray[np.int16], brightness: Volume | float, deep: Volume) -> None:
        """Cover what lies `deep` > 0 millimetres inside a structure, given by name or as numbers (I, J, K)."""
        paint(self.signal, brightness, border(deep, self.edge))
        inside = deep >= 0
        self.labels[inside] = _NUMBER[name] if isinstance(name, str) else name[inside]


def draw_brain(points: Points, cortex: Cortex, shape: Shape, levels: dict[str, float], edge: float) -> Brain:
    """Return labels and brightness of one brain.

    Args:
        points: where each voxel (I, J, K) lies in the standard head.
        cortex: the folded surface, at the same voxels.
        shape: of this brain.
        levels: brightness by structure name without side, white matter being 1.
        edge: millimetres over which a border is blurred.
    """
    right = points.x >= 0
    brain = Brain(np.zeros(right.shape, np.int16), np.zeros(right.shape, np.float32), edge)
    brain.paint("cerebrospinal fluid", levels["fluid"], cortex.skull)

    mottled = 1 + np.float32(0.03) * cortex.texture
    folia = 1 + np.float32(0.07) * cortex.fine

    def both(name: str, deep: Volume, grain: Volume = mottled) -> None:
        numbers = np.where(right, _NUMBER[f"right {name}"], _NUMBER[f"left {name}"]).astype(np.int16)
        brain.paint(numbers, np.float32(levels[name]) * grain, deep)

    both("cerebral cortex", cortex.pial)
    both("cerebral white matter", cortex.white)
    brain.paint("corpus callosum", levels["corpus callosum"], np.minimum(cortex.callosum, cortex.skull))
    for ball in _CISTERNS:
        brain.paint("cerebrospinal fluid", levels["fluid"], np.minimum(depth(points, ball), cortex.skull))
    cerebellum = _union(points, (*mirrored(_CEREBELLUM[0]), _CEREBELLUM[1])) + np.float32(0.8) * cortex.fine
    both("cerebellar cortex", cerebellum - np.float32(0.8 * shape.atrophy), folia)
    arbor = _union(points, mirrored(_ARBOR)) + np.float32(2.2) * cortex.fine
    both("cerebellar white matter", np.minimum(arbor, cerebellum - 3), folia)
    brain.paint(
        "brain stem", levels["brain stem"] * (1 + np.float32(0.04) * cortex.texture), _union(points, _STEM)
    )
    for name, ball in _NUCLEI:
        both(name, _union(points, mirrored(ball)) + np.float32(0.5) * cortex.fine)
    both("lateral ventricle", _ventricles(points, shape))
    for name, ball in (("third ventricle", _THIRD), ("fourth ventricle", _FOURTH)):
        wide = Ball(ball.centre, (ball.axes[0] * (1 + 0.6 * shape.atrophy), *ball.axes[1:]))
        brain.paint(name, levels["fluid"], depth(points, wide))
    return brain


def _union(points: Points, balls: tuple[Ball, ...] | list[Ball]) -> Volume:
    """Return the depth (I, J, K) inside the nearest of several ellipsoids."""
    found = depth(points, balls[0])
    for ball in balls[1:]:
        np.maximum(found, depth(points, ball), out=found)
    return found


def _ventricles(points: Points, shape: Shape) -> Volume:
    """Return the depth (I, J, K) inside the lateral ventricles, each as wide as its side's."""
    balls = []
    for side, wide in zip((-1, 1), shape.ventricles, strict=True):
        for ball in _VENTRICLES:
            (x, *centre), (a, b, c) = ball.centre, ball.axes
            balls.append(Ball((side * x, centre[0], centre[1]), (a * wide, b * wide**0.3, c * wide)))
    return np.minimum(_union(points, balls), np.abs(points.x) - np.float32(_SEPTUM_MM))
