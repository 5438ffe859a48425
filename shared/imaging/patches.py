"""Axial patches of one patient: half centred on arteries, half anywhere in the brain (Kossen et al., 2021).

A patch is (2, size, size) over (channel, i, j): channel 0 is the image in [-1, 1], channel 1 the label, -1
or +1. A patch of even size has its centre at index size // 2. Patches in 3D are in `shared.imaging.patches_3d`.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.imaging.intensity import scale_per_image
from shared.imaging.scan import Role, Scan

Patches = NDArray[np.float32]  # (patches, 2, size, size), or (patches, 2, i, j, k)
Indices = NDArray[np.intp]


class Sampler(Protocol):
    """Patches of one scan, cropped when asked for."""

    def __len__(self) -> int:
        """Return the number of patches."""
        ...

    def crop(self, indices: Indices) -> Patches:
        """Return the patches with these numbers."""
        ...


class PatchSampler:
    """Distinct patch centres in one scan, cropped when asked for.

    Centres keep the in-plane margin, so a patch never leaves the image; along an axis that is shorter than
    `size`, the image is first padded with background (-1) on both sides. With fewer artery voxels than
    count // 2 all of them are taken and the brain gives the rest; with fewer brain voxels than needed there
    are fewer than `count` patches, down to none.
    """

    def __init__(self, scan: Scan, size: int, count: int, rng: np.random.Generator) -> None:
        """Scale the angiogram by itself and choose up to `count` centres (i, j, k).

        Args:
            scan: must hold Role.ANGIO and Role.VESSELS; without Role.BRAIN, anywhere means in the image.
            size: edge of a patch in voxels.
            count: wanted number of patches.
            rng: draws the centres.
        """
        pad = [_padding(edge, size) for edge in scan.shape[:2]] + [(0, 0)]
        self.size = size
        self._image = np.pad(scale_per_image(scan.volumes[Role.ANGIO]), pad, constant_values=-1.0)
        self._label = np.pad(scan.volumes[Role.VESSELS] > 0, pad)
        brain = scan.volumes.get(Role.BRAIN)
        inside = np.ones(self._label.shape, bool) if brain is None else np.pad(brain > 0, pad)
        self.centres = _choose(self._label, inside, size, count, rng)  # (patches, 3)

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.centres)

    def crop(self, indices: Indices) -> Patches:
        """Return the patches (n, 2, size, size) with these numbers."""
        patches = np.empty((len(indices), 2, self.size, self.size), dtype=np.float32)
        corners = self.centres[indices] - [self.size // 2, self.size // 2, 0]
        for patch, (i, j, k) in zip(patches, corners, strict=True):
            window = np.s_[i : i + self.size, j : j + self.size, k]
            patch[0] = self._image[window]
            patch[1] = self._label[window] * 2.0 - 1.0
        return patches


class PatchPool:
    """All patches of one patient, over all sessions."""

    def __init__(self, samplers: Sequence[Sampler], shape: tuple[int, ...]) -> None:
        """Join the samplers of a patient's sessions; `shape` has a patch's edges in voxels."""
        self.shape = shape
        self._samplers = tuple(samplers)
        self._starts = np.cumsum([0, *(len(sampler) for sampler in self._samplers)])

    def __len__(self) -> int:
        """Return the number of patches."""
        return int(self._starts[-1])

    def crop(self, indices: Indices) -> Patches:
        """Return the patches (n, 2, *shape) with these numbers, in their order."""
        patches = np.empty((len(indices), 2, *self.shape), dtype=np.float32)
        session = np.searchsorted(self._starts, indices, side="right") - 1
        for number, sampler in enumerate(self._samplers):
            chosen = session == number
            patches[chosen] = sampler.crop(indices[chosen] - self._starts[number])
        return patches

    def draw(self, k: int, rng: np.random.Generator) -> Patches:
        """Return `k` patches (k, 2, *shape): distinct while there are enough, else as even as can be.

        A patient without patches gives blank ones (-1), so that no patient can be told by a refusal.
        """
        if not len(self):
            return np.full((k, 2, *self.shape), -1.0, dtype=np.float32)
        rounds = [rng.permutation(len(self)) for _ in range(-(-k // len(self)))]
        return self.crop(np.concatenate([*rounds, np.empty(0, np.intp)])[:k].astype(np.intp))


def patient_patches(scans: Sequence[Scan], size: int, count: int, rng: np.random.Generator) -> PatchPool:
    """Return the pool of one patient: about `count` patches in all, spread evenly over the sessions.

    A session that has fewer is not made up for by the others, so the pool may be smaller than `count`.
    """
    shared = zip(scans, shares(count, len(scans)), strict=True)
    return PatchPool([PatchSampler(scan, size, n, rng) for scan, n in shared], (size, size))


def shares(count: int, sessions: int) -> list[int]:
    """Return how many of `count` patches each session gives: as evenly as can be, none for no sessions."""
    return [len(part) for part in np.array_split(np.arange(count), sessions)] if sessions else []


def _padding(edge: int, size: int) -> tuple[int, int]:
    missing = max(size - edge, 0)
    return missing // 2, missing - missing // 2


def _choose(
    vessels: NDArray[np.bool_], brain: NDArray[np.bool_], size: int, count: int, rng: np.random.Generator
) -> Indices:
    room = np.zeros(vessels.shape, bool)
    low, high = size // 2, size - size // 2
    room[low : vessels.shape[0] - high + 1, low : vessels.shape[1] - high + 1] = True
    on_vessel = _pick(np.flatnonzero(vessels & room), count // 2, rng)
    room &= brain
    room.flat[on_vessel] = False
    anywhere = _pick(np.flatnonzero(room), count - len(on_vessel), rng)
    flat = np.concatenate([on_vessel, anywhere])
    return np.stack(np.unravel_index(flat, vessels.shape), axis=1)


def _pick(candidates: Indices, count: int, rng: np.random.Generator) -> Indices:
    return rng.choice(candidates, size=min(count, len(candidates)), replace=False, shuffle=False)
