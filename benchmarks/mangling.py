"""Messages spoilt in every way: bytes, fields, kinds, arrays. What a hostile peer, or a broken one, may send."""

import json
import random
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

JSON_RECORD, ARRAYS = "willis", "arrays"
HOSTILE: tuple[object, ...] = (
    None, True, 0, -1, 3, 2**40, 2**70, 1e-300, 1e308, -0.5, "", "0" * 64, "../../outside", "\x00", "é", [], {},
)  # fmt: skip
NUMPY = b"\x93NUMPY\x01\x00"
HOSTILE_DATA = (
    b"",
    b"PK\x03\x04 no zip file",
    b"\x80\x04\x95 a pickle",
    NUMPY,
    NUMPY + b"\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 9999), }".ljust(120) + b"\n",
    NUMPY + b"\x76\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }".ljust(120) + b"\n",
    NUMPY + b"\x76\x00{'descr': [[[[, 'shape': lambda: 1}".ljust(120) + b"\n",
    NUMPY + b"\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }".ljust(120) + b"\n",
)

Mangler = Callable[[RecordDict, random.Random], RecordDict]


def copy_of(content: RecordDict) -> RecordDict:
    """Return a copy whose records can be changed."""
    made = RecordDict({JSON_RECORD: ConfigRecord(dict(content.config_records[JSON_RECORD]))})
    if ARRAYS in content.array_records:
        made[ARRAYS] = ArrayRecord(dict(content.array_records[ARRAYS].items()))
    return made


def _text(content: RecordDict) -> bytes:
    value = content.config_records[JSON_RECORD]["json"]
    assert isinstance(value, bytes)
    return value


def _with_text(content: RecordDict, text: bytes) -> RecordDict:
    made = copy_of(content)
    made.config_records[JSON_RECORD]["json"] = text
    return made


def flip_bytes(content: RecordDict, rng: random.Random) -> RecordDict:
    """Change one to three bytes of the JSON."""
    text = bytearray(_text(content))
    for _ in range(rng.randint(1, 3)):
        text[rng.randrange(len(text))] = rng.randrange(256)
    return _with_text(content, bytes(text))


def cut_bytes(content: RecordDict, rng: random.Random) -> RecordDict:
    """Leave the end out, or say it twice."""
    text = _text(content)
    return _with_text(content, rng.choice([text[: rng.randrange(len(text))], text + text, b"[" * 5000]))


def change_field(content: RecordDict, rng: random.Random) -> RecordDict:
    """Give one field, at any depth, a value that was not meant."""
    body = json.loads(_text(content))
    spots = list(_spots(body))
    holder, key = rng.choice(spots)
    kind = rng.choice(["put", "drop", "add", "near"])
    if kind == "drop":
        del holder[key]
    elif kind == "add" and isinstance(holder, dict):
        holder["more"] = rng.choice(HOSTILE)
    elif kind == "near" and isinstance(holder[key], int | float):
        holder[key] += rng.choice([-1, 1])
    elif kind == "near" and isinstance(holder[key], str) and holder[key]:
        holder[key] = holder[key][:-1] + rng.choice("0f")
    else:
        holder[key] = deepcopy(rng.choice(HOSTILE))
    return _with_text(content, json.dumps(body, ensure_ascii=False).encode())


def _spots(value: Any) -> list[tuple[Any, Any]]:  # noqa: ANN401
    found = []
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        found.append((value, key))
        if isinstance(item, dict | list):
            found += _spots(item)
    return found


def change_arrays(content: RecordDict, rng: random.Random) -> RecordDict:
    """Drop, rename, exchange or spoil an array; a message without arrays gets one."""
    made = copy_of(content)
    arrays = dict(made.array_records[ARRAYS].items()) if ARRAYS in made.array_records else {}
    if not arrays:
        made[ARRAYS] = ArrayRecord({"w": Array("float32", (1,), "numpy.ndarray", rng.choice(HOSTILE_DATA))})
        return made
    name = rng.choice(sorted(arrays))
    array = arrays.pop(name)
    kind = rng.choice(["drop", "rename", "type", "bytes", "hostile", "other"])
    if kind == "rename":
        arrays[name + "x"] = array
    elif kind == "type":
        arrays[name] = Array(rng.choice(["float64", "O", ""]), array.shape, rng.choice(["", "x"]), array.data)
    elif kind == "bytes":
        data = bytearray(array.data)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        arrays[name] = Array(array.dtype, array.shape, array.stype, bytes(data))
    elif kind == "hostile":
        arrays[name] = Array(array.dtype, array.shape, array.stype, rng.choice(HOSTILE_DATA))
    elif kind == "other" and arrays:
        arrays[name] = arrays[rng.choice(sorted(arrays))]
    made[ARRAYS] = ArrayRecord(arrays)
    return made


def empty(content: RecordDict, rng: random.Random) -> RecordDict:
    """Send a record of another name or kind, or nothing."""
    text = _text(content)
    return rng.choice(
        [
            RecordDict(),
            RecordDict({"other": ConfigRecord({"json": text})}),
            RecordDict({JSON_RECORD: ConfigRecord({"json": 3})}),
            RecordDict({JSON_RECORD: ConfigRecord({"text": text})}),
            RecordDict({JSON_RECORD: ArrayRecord({})}),
        ]
    )


MANGLERS: tuple[Mangler, ...] = (flip_bytes, cut_bytes, change_field, change_field, change_arrays, empty)


def mangled(content: RecordDict, others: list[RecordDict], rng: random.Random) -> RecordDict:
    """Return `content` spoilt in one way, or a message of another kind in its place."""
    kind = rng.randrange(len(MANGLERS) + 1)
    return rng.choice(others) if kind == len(MANGLERS) else MANGLERS[kind](content, rng)
