"""The door: the only way from patients to anything that leaves a hospital.

It takes one vector a patient, clips it, sums over patients and adds Gaussian noise, once. It knows nothing
of gradients: a bounded vector of statistics goes through it just as well. Where papers are reproduced, the
unit is a patch: read "unit" for "patient" throughout.

Formal guarantees (Dwork & Roth 2014, app. A; tests/shared/test_mechanism.py):
  * sensitivity: adding or removing one patient moves the sum by at most `clip_norm` in L2, whatever the
    number of that patient's records. Exactly so, not but for rounding: each clipped vector is cut towards
    zero to whole multiples of a tiny unit, so float64 sums of them have no rounding, in any order (rounded
    sums can move by more than the clip norm: Casacuberta et al. 2022);
  * noise: the released sum is `sum + N(0, (noise_multiplier·clip_norm)² I)`, also when nobody was drawn,
    rounded to the public grid of `grid_step`;
  * a vector that is not finite counts as zero;
  * one release: the sum is consumed, so the same draws cannot be noised twice.

What the grid protects against: floating-point noise can take only some values, and which ones depends on
the sum, so the low bits of `sum + noise` may give the sum away (Mironov 2012). All that leaves are multiples
of a step fixed by σC alone, each standing for about 2³⁶ float64 values. What it does not: noise is float64
Box and Muller, not an exact discrete Gaussian (Canonne, Kamath & Steinke 2020), and ends at 8.6 σ (beyond
lies 2⁻⁵³ of the normal law); and the time a round takes tells how many patients were drawn.
"""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.privacy.events import NonPrivate, SampledGaussian
from shared.privacy.randomness import Randomness

Vector = Sequence[Tensor | None]  # one unit's contribution, in the shapes of the sum; None stands for zeros
Drawn = NDArray[np.intp]  # indices of the units drawn for one sum
Vectors = Callable[[Drawn], Iterable[Vector]]

_CHUNK = 2**18  # values in float64 at a time, so that copies stay in the cache
_MARGIN = 1e-9  # over the float64 error of a norm of up to 2³² values
_CLIP_BITS = 32  # a clipped value is cut to 2⁻³² of the clip norm or finer
_MOST = 2**20  # vectors in one sum: integers below 2³² · 2²⁰ = 2⁵² are exact in float64
_GRID_BITS = 16  # the grid adds 2⁻³² / 12 of the noise's variance; float32 holds it exactly to 128 σC


def grid_step(noise_std: float) -> float:
    """Return the step of what is released: the power of two 2^(⌊log2 noise_std⌋ − 16).

    >>> grid_step(1.0) == 2**-16 == grid_step(1.99)
    True
    """
    return 2.0 ** (math.frexp(noise_std)[1] - 1 - _GRID_BITS)


class GaussianSum:
    """One noisy sum over patients. Vectors are lists of tensors of the shapes given once."""

    def __init__(
        self, like: Sequence[Tensor], clip_norm: float, noise_multiplier: float, randomness: Randomness
    ) -> None:
        """Start at zero; `clip_norm` > 0; `noise_multiplier` = 0 is for runs that are unsafe by name.

        Raises:
            ValueError: settings out of range; noise needs a finite clip norm.
        """
        if not (clip_norm > 0 and noise_multiplier >= 0 and (noise_multiplier == 0 or clip_norm < math.inf)):
            raise ValueError(f"{clip_norm=}, {noise_multiplier=}: need clip_norm > 0, noise_multiplier >= 0")
        sizes = [t.numel() for t in like]
        where = like[0].device if like else None
        self._flat = torch.zeros(sum(sizes), dtype=torch.float64, device=where)  # whole numbers of units
        parts = torch.split(self._flat, sizes)
        self._sum = [part.view(t.shape) for part, t in zip(parts, like, strict=True)]
        self._unit = 0.0 if clip_norm == math.inf else 2.0 ** (math.frexp(clip_norm)[1] - _CLIP_BITS)
        self._clip_norm = clip_norm
        self._noise_std = 0.0 if noise_multiplier == 0 else noise_multiplier * clip_norm
        self._randomness = randomness
        self._added = 0
        self._released = False

    def add(self, vector: Vector) -> None:
        """Add one patient's vector, scaled down to norm `clip_norm`; None stands for zeros.

        Raises:
            OverflowError: more vectors than an exact sum can hold.
        """
        self._added += 1
        if self._added > _MOST:
            raise OverflowError(f"more than {_MOST} vectors in one sum; lower the sampling rate")
        stretches = self._joined(vector)
        norm = _norm(stretches) * (1 + _MARGIN)
        if not math.isfinite(norm):
            return
        factor = 1.0 if norm <= self._clip_norm else self._clip_norm / norm
        totals = torch.split(self._flat, [len(values) for values in stretches])
        for total, values in zip(totals, stretches, strict=True):
            total.add_(self._cut(values.to(torch.float64, copy=True), factor))

    def _joined(self, vector: Vector) -> list[Tensor]:
        """Return a vector as flat stretches of at most `_CHUNK` values, in the order of the sum.

        Small tensors are joined: to call the library for each costs more than to compute with its values.
        """
        joined: list[list[Tensor]] = [[]]
        held = 0
        for total, part in zip(self._sum, vector, strict=True):
            size = total.numel()
            if held and held + size > _CHUNK:
                joined.append([])
                held = 0
            joined[-1].append(total.new_zeros(size) if part is None else part.reshape(size))
            held += size
        flat = (some[0] if len(some) == 1 else torch.cat(some) for some in joined if some)
        return [piece for one in flat for piece in _pieces(one)]

    def _cut(self, values: Tensor, factor: float) -> Tensor:
        """Return `factor` · values in whole units, cut towards zero: that never lengthens a vector."""
        if not self._unit:
            return values.mul_(factor)
        return values.mul_(factor / self._unit).div_(1.0, rounding_mode="trunc")  # trunc_ takes ten times as long

    def release(self) -> list[Tensor]:
        """Return the noisy sum, float32, and close the door.

        Raises:
            RuntimeError: it was released before.
        """
        if self._released:
            raise RuntimeError("this sum was released before; draw patients afresh for another")
        self._released = True
        total, self._sum = self._sum, []
        return [self._noised(t) for t in total]

    def _noised(self, total: Tensor) -> Tensor:
        """Return one tensor of the sum with its noise, on the grid; piece by piece, so that memory stays small."""
        released = torch.empty(total.shape, device=total.device)
        for exact, out in zip(_pieces(total), _pieces(released), strict=True):
            exact.mul_(self._unit or 1.0)
            if self._noise_std:
                step = grid_step(self._noise_std)
                exact.add_(self._randomness.gaussian(len(exact), self._noise_std).to(exact.device))
                exact.div_(step).round_().mul_(step)
            out.copy_(exact)
        return released


class PoissonSums:
    """Noisy sums over units drawn afresh for each, and how many there were: a site's part of a plan."""

    def __init__(
        self,
        *,
        noise_multiplier: float,
        clip_norm: float,
        sampling_rate: float,
        units: int,
        randomness: Randomness,
    ) -> None:
        """Fix σ, C and q; `units` is how many patients (or patches) there are to draw from.

        A noise multiplier of 0 makes sums non-private (clipping still applies unless clip_norm is infinite);
        the caller must have been told so by name.
        """
        self.noise_multiplier = noise_multiplier
        self.clip_norm = clip_norm
        self.sampling_rate = sampling_rate
        self._units = units
        self._randomness = randomness
        self._steps = 0

    @property
    def expected(self) -> float:
        """How many units a sum has on average."""
        return self.sampling_rate * self._units

    def release(self, like: Sequence[Tensor], vectors: Vectors) -> list[Tensor]:
        """Return the noisy sum of what `vectors` yields for freshly drawn units, in the shapes of `like`."""
        self._steps += 1  # first: a step that fails half-way has read patients
        drawn = self._randomness.bernoulli(self._units, self.sampling_rate).nonzero()[0]
        door = GaussianSum(like, self.clip_norm, self.noise_multiplier, self._randomness)
        for vector in vectors(drawn):
            door.add(vector)
        return door.release()

    def executed(self) -> SampledGaussian | NonPrivate:
        """Return what ran so far."""
        if self.noise_multiplier == 0:
            return NonPrivate(steps=self._steps)
        return SampledGaussian(
            noise_multiplier=self.noise_multiplier, sampling_rate=self.sampling_rate, steps=self._steps
        )


def _pieces(tensor: Tensor) -> Sequence[Tensor]:
    return torch.split(tensor.reshape(-1), _CHUNK)


def _norm(pieces: Sequence[Tensor]) -> float:
    """Return the L2 norm in float64: sums of float32 squares lose terms, and would understate it."""
    norms = [torch.linalg.vector_norm(piece, dtype=torch.float64) for piece in pieces]
    return float(torch.linalg.vector_norm(torch.stack(norms))) if norms else 0.0
