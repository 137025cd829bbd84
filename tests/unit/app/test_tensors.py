"""Tensors survive the journey to the last bit."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.app.api.infer_body import parse_infer
from lockgate.app.api.tensors import CODES, as_bytes, as_list, from_bytes, from_json
from lockgate.core.errors import InvalidCall

NUMPY = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "u2",
    "UINT32": "u4",
    "UINT64": "u8",
    "INT8": "i1",
    "INT16": "i2",
    "INT32": "i4",
    "INT64": "i8",
    "FP16": "f2",
    "FP32": "f4",
    "FP64": "f8",
}
SHAPES = st.lists(st.integers(0, 4), max_size=3).map(tuple)


@given(st.data(), st.sampled_from(sorted(CODES)), SHAPES)
def test_bytes_and_lists_are_the_same_numbers_as_numpys(
    data: st.DataObject, datatype: str, shape: tuple[int, ...]
) -> None:
    """Raw bytes, a list made of them and numpy agree, and the way back gives the same bytes."""
    dtype = np.dtype("<" + NUMPY[datatype]) if datatype != "BOOL" else np.dtype("?")
    size = math.prod(shape) * dtype.itemsize
    raw = data.draw(st.binary(min_size=size, max_size=size))
    if datatype == "BOOL":
        raw = bytes(byte & 1 for byte in raw)
    array = np.frombuffer(raw, dtype)
    tensor = from_bytes("x", datatype, shape, raw)
    assert as_bytes(tensor) == raw
    listed = as_list(tensor)
    if not any(isinstance(item, float) and not math.isfinite(item) for item in listed):
        assert listed == array.tolist()
        assert as_bytes(from_json("x", datatype, shape, listed)) == raw


@given(st.lists(st.text()))
def test_text_comes_back_as_it_was(texts: list[str]) -> None:
    """`BYTES` in binary is read as the list of texts that it is, so that guards see it."""
    raw = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)
    tensor = from_bytes("x", "BYTES", (len(texts),), raw)
    assert tensor.data == texts
    assert as_bytes(tensor) == raw


@given(SHAPES.filter(lambda shape: len(shape) > 0))
def test_nested_lists_are_flattened_row_by_row(shape: tuple[int, ...]) -> None:
    """A nested list of the tensor's shape is the same as the flat one."""
    array = np.arange(math.prod(shape)).reshape(shape)
    tensor = from_json("x", "INT64", shape, array.tolist())
    assert tensor.data == array.ravel().tolist()


@given(st.binary(), st.none() | st.binary(max_size=4) | st.integers(0, 99))
def test_no_bytes_make_the_parser_stumble(body: bytes, length: bytes | int | None) -> None:
    """Whatever arrives is either a request or an `InvalidCall`."""
    announced = str(length).encode() if isinstance(length, int) else length
    with pytest.raises(InvalidCall):
        parse_infer(body, announced)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "name": st.text(),
            "datatype": st.sampled_from([*CODES, "BYTES", "X"]),
            "shape": st.lists(st.integers(-2, 10**20), max_size=3),
            "data": st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner, max_size=3),
            ),
            "parameters": st.dictionaries(
                st.just("binary_data_size"), st.integers() | st.booleans() | st.text()
            ),
        },
    ),
    st.binary(),
)
def test_what_is_taken_agrees_with_itself(item: dict[str, Any], tail: bytes) -> None:
    """A tensor that gets through has exactly as many elements as its shape says."""
    head = json.dumps({"inputs": [item]}).encode()
    try:
        asked = parse_infer(head + tail, str(len(head)).encode())
    except InvalidCall:
        return
    (tensor,) = asked.tensors.inputs
    assert len(as_list(tensor)) == math.prod(tensor.shape)
