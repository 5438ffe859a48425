"""A public simulator of labelled diffusion-weighted images: costs no ε, and anyone may run it.

A patient is a vector `theta` of positive parameters, drawn log-uniformly from broad ranges (domain
randomisation; Tobin et al., 2017): a simulated anatomical map, lesions of simulated shape placed in it, and an
image drawn from both.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from shared.imaging.lesion_grid import from_grid, volume_ml
from shared.imaging.lesion_injection import NoRoomError, Placement, inject
from shared.imaging.scan import Role, Scan
from shared.phantoms import anatomy, diffusion
from shared.phantoms.anatomy import Labels, Shape, simulate_anatomy
from shared.phantoms.diffusion import draw_image
from shared.phantoms.lesions import simulate_lesions

LESION_RANGES: dict[str, tuple[float, float]] = {
    "lesions": (1.0, 3.0),  # expected number of lesions; at least one
    "volume": (0.5, 200.0),  # of the largest, millilitres; never below what `MIN_VOXELS` voxels hold
}
RANGES = anatomy.RANGES | LESION_RANGES | diffusion.RANGES
NAMES = tuple(RANGES)
LOG_LOW, LOG_HIGH = np.log(np.array(list(RANGES.values()))).T
MIN_VOXELS = 20  # a smaller lesion is drawn again (Platscher et al., 2020, section 2.3)

_MASK_MM = 2.0  # voxel edge of lesion masks before they are placed
_MASKS = 10  # lesion masks tried before there is no room


def draw_parameters(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (n, parameters) drawn log-uniformly from `RANGES`, in the order of `NAMES`."""
    return np.exp(rng.uniform(LOG_LOW, LOG_HIGH, size=(n, len(NAMES))))


def simulate_dwi(theta: NDArray[np.float64], shape: Shape, rng: np.random.Generator) -> Scan:
    """Return image, anatomical map and lesions of one public patient.

    Args:
        theta: parameters (n,) in the order of `NAMES`.
        shape: voxels along i, j, k; the field of view is that of `shared.phantoms.anatomy`.
        rng: draws everything else.

    Raises:
        NoRoomError: no lesion had room; the voxels are too coarse.
        CohortError: all of the brain has less than `MIN_VOXELS`.
    """
    p = dict(zip(NAMES, theta.tolist(), strict=True))
    labels, affine = simulate_anatomy(p, shape, rng)
    lesion = place_lesions(p, labels, affine, rng)
    image = draw_image(p, labels, lesion, affine, rng)
    volumes = {Role.DWI: image, Role.ANATOMY: labels.astype(np.float32), Role.LESION: lesion.astype(np.float32)}
    return Scan(volumes, affine)


def simulate_patients(shape: Shape, rng: np.random.Generator) -> Iterator[Scan]:
    """Yield public patients without end; a head without room for its lesion is drawn anew.

    Raises:
        CohortError: as `simulate_dwi`.
    """
    while True:
        (theta,) = draw_parameters(1, rng)
        with suppress(NoRoomError):
            yield simulate_dwi(theta, shape, rng)


def place_lesions(
    p: Mapping[str, float], labels: Labels, affine: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Return lesions (i, j, k) of simulated shape at random places of a map's parenchyma.

    Raises:
        NoRoomError: no lesion had room.
        CohortError: the map has an unknown label, or less parenchyma than `MIN_VOXELS`.
    """
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    safe_ml = 3 * MIN_VOXELS * voxel_ml  # a lesion of few voxels loses some to them
    lesions = np.zeros(labels.shape, bool)
    for number in range(1 + int(rng.poisson(p["lesions"] - 1))):
        ml = p["volume"] * (rng.uniform(0.02, 0.5) if number else 1.0)  # emboli beside a main lesion are smaller
        lesions |= _lesion(max(ml, 0.5 * safe_ml), safe_ml, labels, affine, rng)
    return lesions


def _lesion(
    ml: float,
    safe_ml: float,
    labels: Labels,
    affine: NDArray[np.float64],
    rng: np.random.Generator,
    masks: int = _MASKS,
) -> NDArray[np.bool_]:
    """Return one lesion of about `ml`; instead of a mask without room another is taken, nearer to `safe_ml`.

    Raises:
        NoRoomError: none of `masks` masks had room.
    """
    occupancy = simulate_lesions(1, rng)[0]
    scale = (ml / volume_ml(occupancy)) ** (1 / 3)
    mask, mask_affine = from_grid(occupancy, spacing_mm=_MASK_MM)
    placement = Placement(scale=(scale, scale), min_voxels=MIN_VOXELS, tries=10)
    try:
        return inject(mask, mask_affine, labels, affine, rng, placement)
    except NoRoomError:
        if masks == 1:
            raise
    return _lesion((ml * safe_ml) ** 0.5, safe_ml, labels, affine, rng, masks - 1)
