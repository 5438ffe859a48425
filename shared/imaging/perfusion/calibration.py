"""What makes CBF and CBV absolute. MTT, Tmax and TTP need none of it.

ΔR2* follows the tracer with another constant in an artery than in tissue, and a voxel seldom holds an artery
alone: without calibration both maps are wrong by one unknown factor, which may be 10. With it they are still
biased, as DSC is.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from shared.errors import UsageError

WHITE_MATTER_CBF = 22.0  # ml/100 g/min in healthy white matter, which normalised maps have there


class Calibration(StrEnum):
    """Where the factor of CBF and CBV comes from."""

    NONE = "none"
    KAPPA = "kappa"  # known: relaxivity in the artery over that in tissue
    WHITE_MATTER = "white-matter"  # CBF of healthy white matter is `WHITE_MATTER_CBF`
    VEIN = "vein"  # a large vein has the area that the artery would have without partial volume


def white_matter_scale(cbf: NDArray[np.floating]) -> float:
    """Return the factor for CBF values (n,) of healthy white matter.

    Raises:
        UsageError: there are none above 0.
    """
    flow = float(np.median(cbf)) if len(cbf) else 0.0
    if flow <= 0:
        raise UsageError("the white-matter mask has no flow inside the brain; give a mask of healthy white matter")
    return WHITE_MATTER_CBF / flow


def vein_scale(artery: NDArray[np.floating], vein: NDArray[np.floating]) -> float:
    """Return the factor for curves (t,) of an artery and a vein; at most 1, as only partial volume is mended."""
    return min(1.0, float(artery.sum() / vein.sum()))
