"""Synthetic stroke patients: a generated lesion in a public head, drawn as a diffusion-weighted image.

The chain of Platscher et al. (2020), section 2.3, with maps of the public simulator for those of volunteers:
no patient's map is ever published.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch import nn

from shared.errors import UsageError
from shared.imaging.lesion_injection import NoRoomError, Placement, inject
from shared.imaging.scan import Role, Scan
from shared.phantoms.anatomy import simulate_anatomy
from shared.phantoms.dwi import NAMES, draw_parameters
from shared.privacy.randomness import derive_seed
from shared.recipes.drawn_dwi import translate

_PLACEMENT = Placement(tries=20)
Mask = tuple[NDArray[np.generic], NDArray[np.float64]]  # lesion where above 0.5, and its affine


def stroke_cases(masks: Iterator[Mask], generator: nn.Module, edge: int, count: int, seed: int) -> Iterator[Scan]:
    """Yield `count` cases with DWI in [0, 1], anatomy and lesion, volumes (edge, edge, edge / 4).

    Each mask goes into a public head of its own; one that has no room there is left out for the next.

    Args:
        masks: lesions on their own grids; a few more than `count`, for some may have no room.
        generator: a translator for slices of `edge` pixels a side.
        edge: see `generator`.
        count: cases.
        seed: of heads, places and the translator's random part.

    Raises:
        UsageError: the masks ran out.
    """
    made = 0
    for number, (mask, mask_affine) in enumerate(masks):
        if made == count:
            return
        rng = np.random.default_rng(derive_seed(seed, "heads", number))
        (theta,) = draw_parameters(1, rng)
        head = dict(zip(NAMES, theta.tolist(), strict=True))
        anatomy, affine = simulate_anatomy(head, (edge, edge, edge // 4), rng)
        try:
            lesion = inject(mask, mask_affine, anatomy, affine, rng, _PLACEMENT)
        except NoRoomError:
            continue
        made += 1
        yield _case(anatomy, lesion, affine, generator, edge, derive_seed(seed, "slices", number))
    if made < count:
        raise UsageError(f"the masks ran out after {made} of {count} cases; draw more masks than cases")


def _case(
    anatomy: NDArray[np.int16],
    lesion: NDArray[np.bool_],
    affine: NDArray[np.float64],
    generator: nn.Module,
    edge: int,
    seed: int,
) -> Scan:
    drawn = translate(generator, anatomy, lesion, edge, seed)
    volumes = {Role.DWI: drawn, Role.ANATOMY: anatomy.astype(np.float32), Role.LESION: lesion.astype(np.float32)}
    return Scan(volumes, affine)
