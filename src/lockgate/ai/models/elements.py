"""A tensor's elements as the bytes that travel to a runner: little-endian, row-major.

Needs nothing but Python, because workers have no numpy.
"""

from __future__ import annotations

import math
import sys
from array import array
from typing import Final

from lockgate.core.errors import InputRejected
from lockgate.core.payload import Json, Tensor

_CODES: Final = {"FP64": "d", "FP32": "f", "INT64": "q", "INT32": "i"}
SIZES: Final = {"FP64": 8, "FP32": 4, "INT64": 8, "INT32": 4, "BOOL": 1}
"""Datatypes with elements of a fixed size that runners take, and that size in bytes."""


def raw(tensor: Tensor) -> bytes:
    """Give the elements of *tensor* as bytes.

    Raises:
        InputRejected: The datatype is not one of `SIZES`, an element is not of it, or their
            number does not fit the shape.
    """
    size = SIZES.get(tensor.datatype)
    if size is None:
        raise misfit(tensor, f"datatype {tensor.datatype} is not one of {', '.join(SIZES)}")
    if any(length < 0 for length in tensor.shape):
        raise misfit(tensor, f"shape {list(tensor.shape)} is negative")
    data = tensor.data if isinstance(tensor.data, bytes) else _packed(tensor, tensor.data)
    wanted = math.prod(tensor.shape) * size
    if len(data) != wanted:
        raise misfit(
            tensor,
            f"shape {list(tensor.shape)} of {tensor.datatype} takes "
            f"{wanted // size} elements ({wanted} bytes), got {len(data) // size} ({len(data)})",
        )
    return data


def misfit(tensor: Tensor, why: str) -> InputRejected:
    """Refuse *tensor*; its name and what is in it are the caller's words."""
    return InputRejected(
        "an input tensor is not what the model takes", said=f"tensor {tensor.name}: {why}"
    )


def _packed(tensor: Tensor, elements: list[Json]) -> bytes:
    try:
        return _bools(elements) if tensor.datatype == "BOOL" else _numbers(tensor, elements)
    except (TypeError, OverflowError, ValueError) as error:
        raise misfit(tensor, f"an element is no {tensor.datatype}: {error}") from error


def _numbers(tensor: Tensor, elements: list[Json]) -> bytes:
    if bool in map(type, elements):
        raise TypeError("true or false among numbers")
    packed = array(_CODES[tensor.datatype], elements)
    if tensor.datatype == "FP32":
        _check_range(packed, elements)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _check_range(packed: array[float], elements: list[Json]) -> None:
    """Refuse what only the narrower type made infinite."""
    for stored, given in zip(packed, elements, strict=True):
        if math.isinf(stored) and math.isfinite(given):
            raise OverflowError(f"{given} is out of range")


def _bools(elements: list[Json]) -> bytes:
    wrong = next((each for each in elements if not isinstance(each, bool)), None)
    if wrong is not None:
        raise TypeError(f"{wrong!r} is neither true nor false")
    return bytes(elements)
