"""What `vessels-2d` and `vessels-3d` share: a patient's patches, and patches as published cases."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.imaging.patches import PatchPool, patient_patches
from shared.imaging.scan import Role, Scan

ROLES = (Role.ANGIO, Role.VESSELS, Role.BRAIN)
EDGE = {"small": 64, "paper": 96, "published": 96}  # voxels
PATCHES = {
    "small": 64,
    "paper": 1000,
    "published": 1000,
}  # a patient: half centred on a vessel, half anywhere in the brain


class VesselRecords:
    """One patient's patches: all sessions together, none taken twice."""

    def __init__(self, pool: PatchPool) -> None:
        self._pool = pool

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return (count, 2, *edges) in [-1, 1]: image and label, flipped left-right at random."""
        seed = int(torch.randint(2**62, (), generator=generator))
        patches = torch.from_numpy(self._pool.draw(count, np.random.default_rng(seed)))
        mirrored = torch.rand(count, generator=generator) < 0.5
        patches[mirrored] = patches[mirrored].flip(2)
        return patches

    def __len__(self) -> int:
        """Return how many patches there are: at most the preset's number."""
        return len(self._pool)

    def take(self, indices: NDArray[np.intp]) -> Tensor:
        """Return the patches (n, 2, *edges) with these numbers, as they are."""
        return torch.from_numpy(self._pool.crop(indices))

    def all(self) -> NDArray[np.float32]:
        """Return every patch (n, 2, *edges)."""
        return self._pool.crop(np.arange(len(self._pool)))


def records(scans: Sequence[Scan], preset: str, seed: int) -> VesselRecords:
    """Return a patient's records, each image scaled by itself alone."""
    pool = patient_patches(scans, EDGE[preset], PATCHES[preset], np.random.default_rng(seed))
    return VesselRecords(pool)


def as_scans(patches: Iterable[NDArray[np.float32]]) -> Iterator[Scan]:
    """Yield patches (2, i, j[, k]) as cases: intensity in [0, 1], label 0 or 1, in voxels of 1."""
    for image, label in patches:
        volumes = {
            Role.ANGIO: np.ascontiguousarray(np.atleast_3d(image + 1) / 2, dtype=np.float32),
            Role.VESSELS: np.ascontiguousarray(np.atleast_3d(label) > 0, dtype=np.float32),
        }
        yield Scan(volumes, np.eye(4))
