"""Where noise and patient draws come from: the operating system, or a seed that says so.

`SystemRandomness` expands 256 bits of operating-system entropy with ChaCha20 (RFC 8439). The key is in no
attribute, log, representation or pickle; whoever can read the process's memory while it runs can still find
the cipher's state there. `SeededRandomness` repeats itself, for simulations; what it produced is recorded as
`NoiseSource.SEEDED` in every event, because whoever knows the seed can subtract the noise.
"""

import hashlib
import math
import os
from typing import NoReturn, Protocol

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray
from torch import Tensor

from shared.canonical import canonical
from shared.privacy.events import NoiseSource

_CHUNK = 2**14  # pairs of draws made at a time: what they pass through stays in the cache


class Randomness(Protocol):
    """Everything random that privacy rests on."""

    source: NoiseSource

    def gaussian(self, count: int, std: float) -> Tensor:
        """Return `count` independent draws of N(0, std²) as float64; `GaussianSum` puts them on a grid."""
        ...

    def bernoulli(self, count: int, probability: float) -> NDArray[np.bool_]:
        """Return `count` independent draws, True with `probability` to within 2⁻⁵³."""
        ...


class SystemRandomness:
    """A ChaCha20 key stream keyed once from the operating system's generator."""

    source = NoiseSource.SYSTEM

    def __init__(self) -> None:
        self._stream = Cipher(ChaCha20(os.urandom(32), os.urandom(16)), mode=None).encryptor()

    def __repr__(self) -> str:
        return "SystemRandomness()"

    def __reduce__(self) -> NoReturn:
        """Refuse copies and pickles: two of the same stream would give the same noise twice."""
        raise TypeError("a key stream cannot be copied or pickled; make another SystemRandomness")

    def _uniforms(self, count: int) -> Tensor:
        """Return `count` float64 uniforms in (0, 1]: 53 random bits each, zero excluded for the logarithm."""
        bits = torch.frombuffer(bytearray(self._stream.update(bytes(8 * count))), dtype=torch.int64)
        return bits.bitwise_and_(2**53 - 1).double().add_(1.0).mul_(2.0**-53)

    def gaussian(self, count: int, std: float) -> Tensor:
        """See `Randomness.gaussian`; Box and Muller (1958) in float64."""
        draws = torch.empty(count, dtype=torch.float64)
        for start in range(0, count, 2 * _CHUNK):
            part = draws[start : start + 2 * _CHUNK]
            half = (len(part) + 1) // 2
            radius = self._uniforms(half).log_().mul_(-2.0).sqrt_().mul_(std)
            angle = self._uniforms(half).mul_(2.0 * math.pi)
            part[:half] = angle.cos().mul_(radius)
            part[half:] = angle.sin_().mul_(radius)[: len(part) - half]
        return draws

    def bernoulli(self, count: int, probability: float) -> NDArray[np.bool_]:
        """See `Randomness.bernoulli`."""
        return (self._uniforms(count) <= probability).numpy()


class SeededRandomness:
    """Repeatable draws for one purpose, named by `path`: other names give independent streams."""

    source = NoiseSource.SEEDED

    def __init__(self, seed: int, *path: str | int) -> None:
        key = derive_seed(seed, *path)
        self._noise = torch.Generator().manual_seed(key)
        self._draws = np.random.default_rng(key)

    def gaussian(self, count: int, std: float) -> Tensor:
        """See `Randomness.gaussian`."""
        return torch.randn(count, generator=self._noise, dtype=torch.float64).mul_(std)

    def bernoulli(self, count: int, probability: float) -> NDArray[np.bool_]:
        """See `Randomness.bernoulli`."""
        return self._draws.random(count) < probability


def derive_seed(seed: int, *path: str | int) -> int:
    """Return a 63-bit seed for the stream `path` of `seed`; public randomness uses it too.

    >>> derive_seed(1, "site-a", 3) != derive_seed(1, "site-b", 3)
    True
    """
    return int.from_bytes(hashlib.sha256(canonical([seed, *path])).digest()[:8], "little") >> 1
