"""Reads Open Inference V2 requests; everything that does not agree is found before any model is."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from lockgate.app.api.tensors import from_bytes, from_json
from lockgate.core.errors import InvalidCall
from lockgate.core.payload import Json, Tensor, Tensors


class _Input(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    data: Json = msgspec.UNSET
    parameters: dict[str, Json] = {}


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Json] = {}


class _Body(msgspec.Struct):
    inputs: list[_Input]
    outputs: list[_Output] = []
    id: str = ""
    parameters: dict[str, Json] = {}


_body = msgspec.json.Decoder(_Body)
_UNSUPPORTED: Final = ("shared_memory_region", "classification")


class Inference(NamedTuple):
    """A V2 request, and how its outputs are to be written.

    Attributes:
        id: The caller's own name for the request, empty if it gave none.
        binary: Outputs that were asked for as raw bytes, or as JSON, by name.
        binary_by_default: How to write the others.
    """

    id: str
    tensors: Tensors
    binary: dict[str, bool]
    binary_by_default: bool

    def wants_binary(self, name: str) -> bool:
        """Say whether the output called *name* goes back as raw bytes."""
        return self.binary.get(name, self.binary_by_default)


def parse_infer(body: bytes, json_length: bytes | None) -> Inference:
    """Read a request whose JSON is *json_length* bytes long, all of it if that is None.

    Raises:
        InvalidCall: It breaks the protocol, or datatypes, shapes and lengths do not agree.
    """
    end = len(body) if json_length is None else _json_end(json_length, len(body))
    asked = _decoded(body[:end])
    outputs = {
        output.name: _flag(output.parameters, "binary_data", f"output '{output.name}'")
        for output in asked.outputs
    }
    for output in asked.outputs:
        _check_supported(output.parameters, f"output '{output.name}'")
    default = _flag(asked.parameters, "binary_data_output", "the request") or False
    return Inference(
        id=asked.id,
        tensors=Tensors(inputs=_inputs(asked.inputs, body[end:]), outputs=tuple(outputs)),
        binary={name: flag for name, flag in outputs.items() if flag is not None},
        binary_by_default=default,
    )


def _json_end(announced: bytes, size: int) -> int:
    if not announced.isdigit() or len(announced) > len(str(size)) or int(announced) > size:
        raise InvalidCall(
            "the header inference-header-content-length is not a number of bytes within the body"
        )
    return int(announced)


def _decoded(head: bytes) -> _Body:
    try:
        return _body.decode(head)
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} of a string is not valid UTF-8"
    except RecursionError:
        reason = "it is nested too deeply"
    except msgspec.DecodeError as error:
        reason = str(error)
    raise InvalidCall(f"the body cannot be read as an inference request: {reason}")


def _flag(parameters: dict[str, Json], name: str, where: str) -> bool | None:
    value = parameters.get(name)
    if value is None or isinstance(value, bool):
        return value
    raise InvalidCall(f"{where}: parameter '{name}' is not true or false")


def _check_supported(parameters: dict[str, Json], where: str) -> None:
    for name in _UNSUPPORTED:
        if parameters.get(name):
            raise InvalidCall(f"{where}: parameter '{name}' is not supported")


def _inputs(inputs: list[_Input], binary: bytes) -> tuple[Tensor, ...]:
    if not inputs:
        raise InvalidCall("the request has no inputs")
    names = {item.name for item in inputs}
    if len(names) != len(inputs):
        raise InvalidCall("two inputs have the same name")
    tensors: list[Tensor] = []
    at = 0
    for item in inputs:
        _check_supported(item.parameters, f"input '{item.name}'")
        size = _binary_size(item, len(binary) - at)
        tensors.append(_tensor(item, None if size is None else binary[at : at + size]))
        at += size or 0
    if at != len(binary):
        raise InvalidCall(f"{len(binary) - at} bytes follow the last input's binary data")
    return tuple(tensors)


def _binary_size(item: _Input, left: int) -> int | None:
    size = item.parameters.get("binary_data_size")
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= left:
        raise InvalidCall(
            f"input '{item.name}': binary_data_size is {str(size)[:20]}, {left} bytes are left"
        )
    return size


def _tensor(item: _Input, raw: bytes | None) -> Tensor:
    has_data = item.data is not msgspec.UNSET
    if has_data == (raw is not None):
        raise InvalidCall(
            f"input '{item.name}': give either 'data' or the parameter 'binary_data_size'"
        )
    shape = tuple(item.shape)
    if raw is None:
        return from_json(item.name, item.datatype, shape, item.data)
    return from_bytes(item.name, item.datatype, shape, raw)
