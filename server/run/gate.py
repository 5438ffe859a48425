"""What may enter an average: pure decisions, each a refusal with its reason.

Flower averages whatever arrives: NaN, tensors that merely broadcast, self-declared weights. Nothing here is
left to it. A refused update is recorded and its site named; it never takes the round down with it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from flwr.app import RecordDict

from shared.canonical import digest_arrays
from shared.errors import ProtocolError
from shared.messages import Arrays, UpdateReply

MAX_MAGNITUDE = 2.0**20  # no trained weight comes near; the exact average relies on it
MAX_HEADER = 256  # bytes of NumPy's format before the values


@dataclass(frozen=True)
class Expected:
    """What a valid update of one site in one round looks like."""

    run: str
    round: int
    site: str
    public_key: str
    base: str
    nonce: str
    shapes: Mapping[str, tuple[int, ...]]


def check_size(content: RecordDict, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Let the arrays of a message be decoded only if they are no longer than an update's.

    Raises:
        ProtocolError: they are longer, by their number or by the bytes of one.
    """
    arrays = [array for record in content.array_records.values() for array in record.items()]
    most = {name: 4 * math.prod(shape) + MAX_HEADER for name, shape in shapes.items()}
    if len(arrays) > len(most) or any(len(array.data) > most.get(name, MAX_HEADER) for name, array in arrays):
        raise ProtocolError("the update is larger than the arrays it must hold")


def check(reply: UpdateReply, arrays: Arrays, expected: Expected) -> None:
    """Let an update pass, or say why not.

    Raises:
        ProtocolError: with a reason made of public facts only.
    """
    update = reply.update
    if not reply.is_signed_by(expected.public_key):
        raise ProtocolError("the signature is not the enrolled site's")
    for field in ("run", "round", "site", "base", "nonce"):
        if getattr(update, field) != getattr(expected, field):
            raise ProtocolError(f"the update is for another {field}")
    _check_arrays(arrays, expected.shapes)
    if digest_arrays(arrays) != update.body:
        raise ProtocolError("the arrays are not the ones that were signed")


def _check_arrays(arrays: Arrays, shapes: Mapping[str, tuple[int, ...]]) -> None:
    if set(arrays) != set(shapes):
        raise ProtocolError(f"the arrays differ by {sorted(set(arrays) ^ set(shapes))}")
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            raise ProtocolError(f"{name} has shape {array.shape}, not {shapes[name]}")
        if array.dtype != np.float32:
            raise ProtocolError(f"{name} has type {array.dtype}, not float32")
        largest = float(np.abs(array).max(initial=0.0))
        if not (math.isfinite(largest) and largest < MAX_MAGNITUDE):
            raise ProtocolError(f"{name} holds values that are not finite or too large")
