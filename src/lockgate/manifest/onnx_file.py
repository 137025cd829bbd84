"""Whether a file can be an ONNX model: the outermost layer of its protobuf, and no more.

Source: https://protobuf.dev/programming-guides/encoding, and `ModelProto` in ONNX's onnx.proto.
"""

from __future__ import annotations

import os
from io import BufferedReader
from pathlib import Path

_IR_VERSION, _GRAPH = (1, 0), (7, 2)
"""Number and wire type of the two fields that every model has."""
_LAST_FIELD = 100  # of ModelProto's fields, 26 is the last so far
_VARINT, _EIGHT, _LENGTH, _FOUR = 0, 1, 2, 5


def is_onnx(path: Path) -> bool:
    """Say whether the file is made of a model's fields, from its first byte to its last."""
    seen: set[tuple[int, int]] = set()
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            while stream.tell() < size:
                seen.add(_field(stream, size))
    except (OSError, ValueError):
        return False
    return {_IR_VERSION, _GRAPH} <= seen


def _field(stream: BufferedReader, size: int) -> tuple[int, int]:
    """Skip a field; give its number and wire type."""
    number, kind = divmod(_varint(stream), 8)
    if not 0 < number <= _LAST_FIELD:
        raise ValueError("no field of a model")
    if kind == _VARINT:
        _varint(stream)
        return number, kind
    if kind not in (_EIGHT, _LENGTH, _FOUR):
        raise ValueError("no type of a field")
    length = _varint(stream) if kind == _LENGTH else {_EIGHT: 8, _FOUR: 4}[kind]
    if stream.tell() + length > size:
        raise ValueError("longer than the file")
    stream.seek(length, os.SEEK_CUR)
    return number, kind


def _varint(stream: BufferedReader) -> int:
    value = 0
    for place in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            raise ValueError("cut off")
        value |= (byte[0] & 0x7F) << place
        if byte[0] < 0x80:
            return value
    raise ValueError("no number")
