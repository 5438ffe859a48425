"""The door: the only way from patients to anything that leaves a hospital.

It takes one vector a patient, clips it, sums over patients and adds Gaussian noise, once. It knows nothing
of gradients: a bounded vector of statistics goes through it just as well.

Formal guarantees (Dwork & Roth 2014, app. A; tests/shared/test_mechanism.py):
  * sensitivity: adding or removing one patient moves the sum by at most `clip_norm` in L2, whatever the
    number of that patient's records;
  * noise: the released sum is `sum + N(0, (noise_multiplier·clip_norm)² I)`, also when nobody was drawn;
  * a vector that is not finite counts as zero;
  * one release: the sum is consumed, so the same draws cannot be noised twice.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from shared.privacy.randomness import Randomness

_CHUNK = 2**18  # values widened to float64 at a time, so that the copy stays in the cache


class GaussianSum:
    """One noisy sum over patients. Vectors are lists of tensors of the shapes given once."""

    def __init__(
        self, like: Sequence[Tensor], clip_norm: float, noise_multiplier: float, randomness: Randomness
    ) -> None:
        """Start at zero; `clip_norm` > 0; `noise_multiplier` = 0 is for runs that are unsafe by name."""
        if not (clip_norm > 0 and noise_multiplier >= 0):
            raise ValueError(f"{clip_norm=}, {noise_multiplier=}: need clip_norm > 0, noise_multiplier >= 0")
        self._sum = [torch.zeros_like(t) for t in like]
        self._clip_norm = clip_norm
        self._noise_std = 0.0 if noise_multiplier == 0 else noise_multiplier * clip_norm
        self._randomness = randomness
        self._released = False

    def add(self, vector: Sequence[Tensor | None]) -> None:
        """Add one patient's vector, scaled down to norm `clip_norm`; None stands for zeros."""
        present = [t for t in vector if t is not None]
        if not present:
            return
        norm = _norm(present)
        if not math.isfinite(norm):
            return
        # The margin covers float32 rounding of the scaled vector.
        factor = min(1.0, self._clip_norm / (norm * (1 + 1e-6) + 1e-12))
        for total, part in zip(self._sum, vector, strict=True):
            if part is not None:
                total.add_(part, alpha=factor)

    def release(self) -> list[Tensor]:
        """Return the noisy sum and close the door.

        Raises:
            RuntimeError: it was released before.
        """
        if self._released:
            raise RuntimeError("this sum was released before; draw patients afresh for another")
        self._released = True
        total, self._sum = self._sum, []
        if self._noise_std == 0:
            return total
        noise = self._randomness.gaussian(sum(t.numel() for t in total), self._noise_std)
        parts = torch.split(noise, [t.numel() for t in total])
        return [t.add_(n.view_as(t).to(t)) for t, n in zip(total, parts, strict=True)]


def _norm(vector: Sequence[Tensor]) -> float:
    """Return the L2 norm in float64: sums of float32 squares lose terms, and would understate it."""
    parts = (part for t in vector for part in torch.split(t.reshape(-1), _CHUNK))
    norms = [torch.linalg.vector_norm(part, dtype=torch.float64) for part in parts]
    return float(torch.linalg.vector_norm(torch.stack(norms)))
