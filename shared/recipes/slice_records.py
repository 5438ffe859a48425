"""One patient's pairs of class map and diffusion-weighted slice, and how a record holds them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.errors import CohortError
from shared.imaging.anatomy import CLASSES, LESION_CLASS, indices
from shared.imaging.intensity import scale_dwi
from shared.imaging.scan import Role, Scan
from shared.imaging.slices import to_slices

ROLES = (Role.DWI, Role.ANATOMY, Role.LESION)


class SliceRecords:
    """The slices with brain of all of a patient's sessions."""

    def __init__(self, classes: NDArray[np.uint8], images: NDArray[np.float32]) -> None:
        """Keep classes 0 to 28 and images in [-1, 1], both (slices, edge, edge).

        One-hot maps would take 29 times the room: they are made when a network is shown them.

        Raises:
            CohortError: no slice has brain in it.
        """
        brain = classes.any(axis=(1, 2))
        if not brain.any():
            raise CohortError("the anatomical map is empty: no slice has brain in it; redo it or leave this out")
        self._classes, self._images = classes[brain], images[brain]
        with_lesion = np.flatnonzero((self._classes == LESION_CLASS).any(axis=(1, 2)))
        self._with_lesion = torch.from_numpy(with_lesion)

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return (count, 2, edge, edge) float32: classes and image.

        Each is, in one of two cases, of a slice with lesion, where there are any.
        """
        chosen = torch.randint(len(self._classes), (count,), generator=generator)
        if len(self._with_lesion):
            lesions = self._with_lesion[torch.randint(len(self._with_lesion), (count,), generator=generator)]
            chosen = torch.where(torch.rand(count, generator=generator) < 0.5, lesions, chosen)
        drawn = np.stack([self._classes[chosen.numpy()].astype(np.float32), self._images[chosen.numpy()]], axis=1)
        return torch.from_numpy(drawn)


def records(scans: Sequence[Scan], edge: int) -> SliceRecords:
    """Return a patient's records; each image is scaled by itself alone.

    Raises:
        CohortError: a map holds a label that is not known, or there is no brain.
    """
    classes = [classes_of(scan.volumes[Role.ANATOMY], scan.volumes[Role.LESION], edge) for scan in scans]
    dwis = (scale_dwi(scan.volumes[Role.DWI], signed=True) for scan in scans)
    images = [to_slices(dwi, edge, around=-1.0) for dwi in dwis]
    return SliceRecords(np.concatenate(classes), np.concatenate(images))


def classes_of(anatomy: NDArray[np.generic], lesion: NDArray[np.generic], edge: int) -> NDArray[np.uint8]:
    """Return the class (0 to 28) of every pixel (k, edge, edge) of a map and lesion (i, j, k).

    Raises:
        CohortError: the map holds a label that is not known.
    """
    return to_slices(indices(anatomy, lesion), edge, labels=True).astype(np.uint8)


def one_hot(classes: Tensor) -> Tensor:
    """Return (n, 29, edge, edge) float32 of classes (n, edge, edge)."""
    return torch.nn.functional.one_hot(classes.long(), CLASSES).movedim(-1, 1).float()
