"""Tensors as the Open Inference Protocol V2 sends them: in JSON, or as raw bytes after it.

Source: kserve/open-inference-protocol (REST), and the binary tensor data extension of Triton.
Text (`BYTES`) always becomes a list of strings, so that guards see it however it was sent.
"""

from __future__ import annotations

import math
import struct
from typing import Final

from lockgate.core.errors import InvalidCall
from lockgate.core.payload import Json, Tensor

CODES: Final[dict[str, str]] = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT16": "H",
    "UINT32": "I",
    "UINT64": "Q",
    "INT8": "b",
    "INT16": "h",
    "INT32": "i",
    "INT64": "q",
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
"""How `struct` writes one element; `BYTES` has no fixed size."""
TEXT: Final = "BYTES"
_MOST_DIMENSIONS: Final = 32
_LENGTH: Final = struct.Struct("<I")


def size_of(name: str, datatype: str, shape: tuple[int, ...]) -> int:
    """Count the elements of a tensor.

    Raises:
        InvalidCall: There is no such datatype, or no such shape.
    """
    if datatype != TEXT and datatype not in CODES:
        known = ", ".join((*CODES, TEXT))
        raise InvalidCall(f"input '{name}': datatype '{datatype[:20]}' is none of {known}")
    if len(shape) > _MOST_DIMENSIONS or any(size < 0 for size in shape):
        raise InvalidCall(f"input '{name}': a shape is a list of sizes, none of them negative")
    return math.prod(shape)


def from_json(name: str, datatype: str, shape: tuple[int, ...], data: Json) -> Tensor:
    """Read a tensor from JSON; nested lists are laid out flat, row by row.

    Raises:
        InvalidCall: Datatype, shape and data do not agree.
    """
    count = size_of(name, datatype, shape)
    if not isinstance(data, list):
        raise InvalidCall(f"input '{name}': data is not a list")
    flat = _laid_flat(name, len(shape), data) if data and isinstance(data[0], list) else data
    if len(flat) != count:
        raise InvalidCall(
            f"input '{name}': shape {list(shape)} means {count} elements, data has {len(flat)}"
        )
    _check_elements(name, datatype, flat)
    return Tensor(name=name, datatype=datatype, shape=shape, data=flat)


def _laid_flat(name: str, dimensions: int, nested: list[Json]) -> list[Json]:
    for _ in range(dimensions - 1):
        if not all(isinstance(row, list) for row in nested):
            raise InvalidCall(f"input '{name}': data is neither flat nor nested as its shape says")
        nested = [item for row in nested for item in row]
    return nested


def _check_elements(name: str, datatype: str, flat: list[Json]) -> None:
    kinds = set(map(type, flat))
    wanted = {str} if datatype == TEXT else {bool} if datatype == "BOOL" else {int, float}
    if not kinds <= wanted:
        raise InvalidCall(f"input '{name}': not every element is a {datatype}")
    if datatype != TEXT:
        try:
            pack(datatype, flat)
        except (struct.error, OverflowError) as error:
            raise InvalidCall(f"input '{name}': an element is no {datatype}: {error}") from error


def from_bytes(name: str, datatype: str, shape: tuple[int, ...], raw: bytes) -> Tensor:
    """Read a tensor from little-endian bytes.

    Raises:
        InvalidCall: Datatype, shape and length do not agree, or text is not UTF-8.
    """
    count = size_of(name, datatype, shape)
    if datatype == TEXT:
        texts = _texts(name, raw)
        if len(texts) != count:
            raise InvalidCall(
                f"input '{name}': shape {list(shape)} means {count} elements, the binary data has"
                f" {len(texts)}"
            )
        return Tensor(name=name, datatype=datatype, shape=shape, data=texts)
    size = count * struct.calcsize("<" + CODES[datatype])
    if len(raw) != size:
        raise InvalidCall(
            f"input '{name}': {datatype} of shape {list(shape)} takes {size} bytes, the binary data"
            f" has {len(raw)}"
        )
    return Tensor(name=name, datatype=datatype, shape=shape, data=raw)


def _texts(name: str, raw: bytes) -> list[Json]:
    texts: list[Json] = []
    at = 0
    while at < len(raw):
        if at + 4 > len(raw):
            raise InvalidCall(f"input '{name}': the binary data ends within an element's length")
        end = at + 4 + _LENGTH.unpack_from(raw, at)[0]
        if end > len(raw):
            raise InvalidCall(f"input '{name}': the binary data ends within an element")
        try:
            texts.append(raw[at + 4 : end].decode())
        except UnicodeDecodeError as error:
            raise InvalidCall(
                f"input '{name}': element {len(texts)} is not UTF-8, which is the only text taken"
            ) from error
        at = end
    return texts


def pack(datatype: str, elements: list[Json]) -> bytes:
    """Write *elements* as little-endian bytes.

    Raises:
        struct.error: An element is not of *datatype*.
        OverflowError: An element is too large for it.
    """
    if datatype == TEXT:
        encoded = [item if isinstance(item, bytes) else str(item).encode() for item in elements]
        return b"".join(_LENGTH.pack(len(item)) + item for item in encoded)
    return struct.pack(f"<{len(elements)}{CODES[datatype]}", *elements)


def as_bytes(tensor: Tensor) -> bytes:
    """Give a tensor's elements as little-endian bytes."""
    if isinstance(tensor.data, bytes):
        return tensor.data
    return pack(tensor.datatype, tensor.data)


def as_list(tensor: Tensor) -> list[Json]:
    """Give a tensor's elements as a flat list."""
    if isinstance(tensor.data, list):
        return tensor.data
    if tensor.datatype == TEXT:
        return _texts(tensor.name, tensor.data)
    code = "<" + CODES[tensor.datatype]
    return list(struct.unpack(f"<{math.prod(tensor.shape)}{code[1:]}", tensor.data))
