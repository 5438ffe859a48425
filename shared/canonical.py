"""One byte string for one value: canonical JSON, and digests of it and of named arrays.

Signatures, Merkle trees and "same bytes" comparisons all rest on these functions.

>>> canonical({"b": 1, "a": [0.5, "x"]})
b'{"a":[0.5,"x"],"b":1}'
"""

import hashlib
import json
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def canonical(value: object) -> bytes:
    """Return JSON with sorted keys, no spaces, UTF-8, and shortest round-trip floats.

    Raises:
        ValueError: a float is not finite (JSON has no such number).
        TypeError: the value is not JSON.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def digest(data: bytes) -> str:
    """Return the lower-case hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def digest_arrays(arrays: Mapping[str, NDArray[np.generic]]) -> str:
    """Return one SHA-256 over names, dtypes, shapes and little-endian bytes, in order of name."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        header = canonical([name, array.dtype.str, list(array.shape)])
        total.update(len(header).to_bytes(8, "little") + header)
        total.update(array.view(np.uint8).data if array.ndim else array.tobytes())
    return total.hexdigest()
