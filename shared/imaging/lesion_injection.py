"""Lesion injection: a lesion mask placed in the parenchyma of an anatomical map (Platscher et al., 2020, 2.3).

A mask with its own grid (as recipe `lesions-3d` publishes) is turned, scaled, sheared and flipped about its
centre of mass, moved in millimetres to a random place of the brain, resampled to the map's grid, and clipped
to where it may be. A draw that leaves too little is drawn again. The map is only read: a translator gets map
and mask together by `shared.imaging.anatomy.one_hot`.
"""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from shared.errors import CohortError, UsageError
from shared.imaging.anatomy import Side, is_parenchyma
from shared.imaging.territories import CALLOSUM, Artery, halves, hindbrain, territories

Mask = NDArray[np.bool_]
Matrix = NDArray[np.float64]


class NoRoomError(UsageError):
    """No draw left enough of a lesion in the map; another mask may fit."""

    code = "no-room"


@dataclass(frozen=True)
class Placement:
    """How a lesion may be changed and where it may lie."""

    turn_degrees: float = 20.0  # largest rotation about each axis, drawn uniformly from both signs
    scale: tuple[float, float] = (0.8, 1.25)  # drawn log-uniformly, one for all axes
    shear: float = 0.1  # largest shear between axes
    flips: bool = True  # each axis with probability one half
    one_half: bool = True  # a lesion of the cerebrum stays in its hemisphere, unless it lies on the callosum
    side: Side | None = None  # left or right only
    artery: Artery | None = None  # within this artery's territory only
    kept: float = 0.5  # least share of the placed lesion that clipping must leave
    min_voxels: int = 20  # least voxels of the map's grid (Platscher et al., 2020, section 2.3)
    tries: int = 100


def inject(
    mask: NDArray[np.generic],
    mask_affine: Matrix,
    anatomy: NDArray[np.generic],
    affine: Matrix,
    rng: np.random.Generator,
    placement: Placement | None = None,
) -> Mask:
    """Return the lesion on the map's grid (i, j, k): parenchyma only, the same for the same arguments and seed.

    A voxel is lesion where more than half of it is covered. A lesion centred in brain stem or cerebellum
    stays in these and may cross the middle; one centred in the corpus callosum may lie in both hemispheres;
    any other stays in its hemisphere, the callosum's half included.

    Args:
        mask: lesion where above 0.5, 3D, on any grid.
        mask_affine: of the mask (4, 4), voxel index to millimetres; its origin does not matter.
        anatomy: FreeSurfer numbers (i, j, k).
        affine: of the map (4, 4), to RAS millimetres.
        rng: draws changes and place.
        placement: what may be drawn; the defaults of `Placement` if none.

    Raises:
        NoRoomError: no try left enough of the lesion.
        UsageError: the mask is empty or not 3D, or an option is out of range.
        CohortError: the map has an unknown label, or too little parenchyma where the lesion may lie.
    """
    options = placement or Placement()
    _check(options, mask)
    room = _Room(anatomy, affine, options)
    lesion = _trimmed(np.asarray(mask, np.float32) > 0.5)
    best, of = 0, 1
    for _ in range(options.tries):
        centre = room.draw(rng)
        to_map = np.linalg.inv(affine[:3, :3]) @ _change(options, rng) @ mask_affine[:3, :3]
        low, drawn = _rasterised(lesion, to_map, centre)
        placed, size = _clipped(low, drawn, room.around(centre)), int(drawn.sum())
        left = int(placed.sum())
        if left >= options.min_voxels and left >= options.kept * size:
            return placed
        if left * of > best * size:
            best, of = left, size
    raise NoRoomError(
        f"no room for the lesion in {options.tries} tries: at best {best} of its {of} voxels were left, and "
        f"{options.min_voxels} and {options.kept:.0%} are needed; take a smaller lesion or a lower `kept`"
    )


def lay(mask: NDArray[np.generic], mask_affine: Matrix, anatomy: NDArray[np.generic], affine: Matrix) -> Mask:
    """Return the lesion where it lies in millimetres, on the map's grid (i, j, k) and clipped to parenchyma.

    Arguments as for `inject`, but both affines lead to the same millimetres.

    Raises:
        NoRoomError: none of it lies in parenchyma.
        UsageError: the mask is empty or not 3D.
        CohortError: the map has an unknown label.
    """
    _check(Placement(), mask)
    lesion = np.asarray(mask, np.float32) > 0.5
    to_map = np.linalg.inv(affine) @ mask_affine
    centre = to_map[:3, :3] @ ndimage.center_of_mass(lesion) + to_map[:3, 3]
    placed = _clipped(*_rasterised(_trimmed(lesion), to_map[:3, :3], centre), is_parenchyma(anatomy))
    if not placed.any():
        raise NoRoomError("none of the lesion lies in the map's parenchyma; take mask and map of one space")
    return placed


class _Room:
    """Where in a map a lesion may be centred, and what it may cover from there."""

    def __init__(self, anatomy: NDArray[np.generic], affine: Matrix, options: Placement) -> None:
        half = halves(anatomy, affine)
        self._allowed = is_parenchyma(anatomy)
        if options.side:
            self._allowed &= half == (-1 if options.side is Side.LEFT else 1)
        if options.artery:
            self._allowed &= territories(anatomy, affine) == options.artery
        # a lesion stays in the part of its centre
        self._parts = np.where(hindbrain(anatomy), 0, half) if options.one_half else np.ones_like(half)
        self._callosum = np.asarray(anatomy == CALLOSUM)
        self._centres = np.argwhere(self._allowed)
        if len(self._centres) < max(options.min_voxels, 1):
            msg = f"{len(self._centres)} voxels of parenchyma where the lesion may lie, and {options.min_voxels}"
            raise CohortError(f"the anatomical map has {msg} are needed; check map and placement")

    def draw(self, rng: np.random.Generator) -> NDArray[np.intp]:
        """Return a voxel (3,), all that are allowed alike."""
        return np.asarray(self._centres[rng.integers(len(self._centres))])

    def around(self, centre: NDArray[np.intp]) -> Mask:
        """Return what a lesion with this centre may cover (i, j, k)."""
        at = tuple(centre)
        same = self._parts != 0 if self._callosum[at] else self._parts == self._parts[at]
        return np.asarray(self._allowed & same)


def _change(options: Placement, rng: np.random.Generator) -> Matrix:
    """Return a random linear map (3, 3) of millimetres."""
    turn = Rotation.from_euler("xyz", rng.uniform(-1, 1, 3) * options.turn_degrees, degrees=True).as_matrix()
    shear = np.eye(3)
    shear[np.triu_indices(3, 1)] = rng.uniform(-1, 1, 3) * options.shear
    flips = np.where((rng.random(3) < 0.5) & options.flips, -1.0, 1.0)
    return np.asarray(turn @ shear * flips * math.exp(rng.uniform(*np.log(options.scale))))


def _trimmed(lesion: Mask) -> Mask:
    """Return the smallest box of the mask that holds the lesion and one voxel around it."""
    places = np.argwhere(lesion)
    box = tuple(slice(a, b) for a, b in zip(places.min(axis=0), places.max(axis=0) + 1, strict=True))
    return np.pad(lesion[box], 1)


def _rasterised(
    lesion: Mask, to_map: Matrix, centre: NDArray[np.intp] | NDArray[np.float64]
) -> tuple[NDArray[np.intp], Mask]:
    """Return the first voxel (3,) of a box of the map, which may lie outside it, and the lesion in that box.

    `to_map` (3, 3) takes steps of the mask's voxels to steps of the map's; the lesion's centre of mass goes to
    `centre` (3,). A voxel of the map is sampled at as many places as the mask has voxels along it.
    """
    middle = np.array(ndimage.center_of_mass(lesion))
    corners = np.array(list(product(*((0, edge - 1) for edge in lesion.shape))))
    reach = (corners - middle) @ to_map.T + centre
    low = np.floor(reach.min(axis=0)).astype(np.intp)
    edges = np.ceil(reach.max(axis=0)).astype(np.intp) + 1 - low
    back = np.linalg.inv(to_map)
    fine = np.ceil(np.linalg.norm(back, axis=0)).astype(np.intp)
    start = back @ (low + 0.5 / fine - 0.5 - centre) + middle
    samples = ndimage.affine_transform(
        lesion.astype(np.float32), back / fine, offset=start, output_shape=tuple(edges * fine), order=1
    )
    blocks = samples.reshape([n for pair in zip(edges, fine, strict=True) for n in pair])
    return low, np.asarray(blocks.mean(axis=(1, 3, 5)) > 0.5)


def _clipped(low: NDArray[np.intp], lesion: Mask, allowed: Mask) -> Mask:
    """Return the lesion of a box that starts at voxel `low` (3,), on the map (i, j, k), where it is allowed."""
    placed = np.zeros(allowed.shape, bool)
    start = np.maximum(low, 0)
    stop = np.maximum(np.minimum(low + lesion.shape, allowed.shape), start)
    there = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    placed[there] = lesion[tuple(slice(a, b) for a, b in zip(start - low, stop - low, strict=True))]
    return placed & allowed


def _check(options: Placement, mask: NDArray[np.generic]) -> None:
    """Refuse options and masks that can give no lesion."""
    if mask.ndim != 3 or not (np.asarray(mask, np.float32) > 0.5).any():
        raise UsageError(f"a lesion mask of shape {mask.shape} that is empty or not 3D; take another mask")
    low, high = options.scale
    good = 0 < low <= high and 0 <= options.kept <= 1 and options.tries >= 1 and abs(options.shear) < 1
    if not good or options.side is Side.MIDDLE:
        raise UsageError(f"{options}: need 0 < scale, kept in [0, 1], shear < 1, a try, and side left or right")
