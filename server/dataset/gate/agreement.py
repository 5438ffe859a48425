"""What is known to hold between the roles of a case, declared once; and how far it holds in one case. Pure.

Declared are only properties that every recipe's cases have by what their roles mean:

  * an artery is brighter than what surrounds it in a time-of-flight angiogram, a fresh lesion in a
    diffusion-weighted image (`BRIGHT`);
  * perfusion maps are never negative (`NEVER_NEGATIVE`), and 0 outside the brain where there is a brain mask.

Nothing is declared, so nothing is checked, of: anatomical maps, a brain mask beside anything but perfusion maps,
a series of a contrast bolus, and whether maps follow from it.
"""

import numpy as np
from scipy import ndimage
from scipy.stats import rankdata

from shared.imaging.scan import Role, Scan, Volume

BRIGHT: dict[Role, Role] = {
    Role.VESSELS: Role.ANGIO,
    Role.LESION: Role.DWI,
}  # label -> image in which it is bright
NEVER_NEGATIVE = tuple(role for role in Role if role.is_map)
RIM = 3  # voxels in the plane: as far as a label's surroundings reach
_DISC = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), RIM)[..., None]


def brightness(image: Volume, label: Volume) -> float:
    """Return how often a labelled voxel is brighter than one around it, in [0, 1]; NaN if there are none.

    It is the area under the ROC curve (Hanley and McNeil, 1982) of intensity, of the label (i, j, k) against a rim
    of `RIM` voxels in the plane: 0.5 where a label lies anywhere, whatever the scale of the image.
    """
    inside = label > 0
    rim = ndimage.binary_dilation(inside, _DISC) & ~inside
    ours, theirs = image[inside], image[rim]
    if not (len(ours) and len(theirs)):
        return float("nan")
    above = rankdata(np.concatenate([ours, theirs]))[: len(ours)].sum() - len(ours) * (len(ours) + 1) / 2
    return float(above / (len(ours) * len(theirs)))


def pairs_of(scan: Scan) -> dict[Role, tuple[Volume, Volume]]:
    """Return image and label of each label of a case that is declared to be bright."""
    volumes = scan.volumes
    return {
        label: (volumes[image], volumes[label])
        for label, image in BRIGHT.items()
        if label in volumes and image in volumes
    }


def map_faults(scan: Scan) -> list[str]:
    """Return the declared properties of perfusion maps that a case breaks."""
    found = []
    for role in (role for role in scan.volumes if role in NEVER_NEGATIVE):
        values = scan.volumes[role]
        if (values < 0).any():
            found.append(f"{role.value} is negative down to {values.min():.3g}")
        if Role.BRAIN in scan.volumes and values[scan.volumes[Role.BRAIN] == 0].any():
            found.append(f"{role.value} is not 0 outside the brain")
    return found
