"""What the public simulators' own cases score: the levels that published ones are judged by. Reads no patient.

Levels are computed when they are asked for, at the size of what is judged, with one seed, so that they follow the
simulators.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np

from server.dataset.gate.agreement import BRIGHT, brightness
from server.dataset.gate.alike import images_alike, middle_slice, shapes_alike
from shared.imaging.scan import Role, Scan
from shared.phantoms import dsc, dwi, vessels
from shared.phantoms.anatomy import Shape
from shared.phantoms.lesions import simulate_lesions
from shared.recipes.vessel_records import as_scans

Simulator = Callable[[Shape, np.random.Generator], Iterator[Scan]]

CASES = 40  # of a simulator; pairs of them are many more
SLOW_CASES = 16  # of one that takes a fifth of a second a case, or more
SMALLEST = 32  # edge below which labels have too few voxels around them to compare
SAME = 1.0  # SSIM, and Dice, of a case with itself
_SLICES = 8  # of a public head
_SEED = 0


@dataclass(frozen=True)
class Brightness:
    """How often labelled voxels are brighter than those around them, on average over public cases."""

    own: float  # with each image's own label
    other: float  # with another case's label

    @property
    def least(self) -> float:
        """Half-way: below it, labels fit no better than another case's would."""
        return (self.own + self.other) / 2


@dataclass(frozen=True)
class Likeness:
    """How alike pairs of different public cases are on average."""

    mean: float  # SSIM, or Dice

    @property
    def most(self) -> float:
        """Half-way to `SAME`: above it, pairs are nearer to one case drawn twice than to different cases."""
        return (self.mean + SAME) / 2


@cache
def public_images(role: Role, edge: int) -> Likeness:
    """Return how alike public images are, by SSIM."""
    images = [middle_slice(scan.volumes[role]) for scan in _scans(role, edge)]
    return Likeness(float(images_alike(images, edge).mean()))


@cache
def public_lesions() -> Likeness:
    """Return how alike public lesions are, by Dice."""
    grids = simulate_lesions(CASES, np.random.default_rng(_SEED))
    return Likeness(float(shapes_alike([grid > 0.5 for grid in grids]).mean()))


@cache
def public_brightness(label: Role, edge: int) -> Brightness:
    """Return the levels of a label of `BRIGHT`, in images of `edge` pixels."""
    scans = _scans(BRIGHT[label], max(edge, SMALLEST))
    images = [scan.volumes[BRIGHT[label]] for scan in scans]
    labels = [scan.volumes[label] for scan in scans]
    own = [brightness(image, mask) for image, mask in zip(images, labels, strict=True)]
    other = [brightness(image, mask) for image, mask in zip(images, labels[1:] + labels[:1], strict=True)]
    return Brightness(float(np.nanmean(own)), float(np.nanmean(other)))


def _scans(role: Role, edge: int) -> tuple[Scan, ...]:
    """Return public cases that have this image."""
    if role is Role.ANGIO:
        return _vessels(edge)
    return _heads(dwi.simulate_patients if role is Role.DWI else dsc.simulate_patients, edge)


@cache
def _vessels(edge: int) -> tuple[Scan, ...]:
    rng = np.random.default_rng(_SEED)
    thetas = vessels.draw_parameters(CASES, rng)
    return tuple(as_scans(vessels.simulate(theta, 1, edge, rng)[0] for theta in thetas))


@cache
def _heads(simulate: Simulator, edge: int) -> tuple[Scan, ...]:
    return tuple(islice(simulate((edge, edge, _SLICES), np.random.default_rng(_SEED)), SLOW_CASES))
