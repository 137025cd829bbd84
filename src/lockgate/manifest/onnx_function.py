"""Answers predict calls from an ONNX model, with onnxruntime.

Written by `lockgate init` as a file of your own: change it as you like. It needs onnxruntime
(`pip install onnxruntime`) where Lockgate runs, and loads the model at the first call.

Takes an object: each input's name with its value, a number, a text or nested lists of them, one row
or many. Gives an object: each output's name with its value.
"""

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

MODEL = Path(__file__).parent / "MODEL_FILE"
TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int16)": "int16",
    "tensor(int8)": "int8",
    "tensor(uint64)": "uint64",
    "tensor(uint32)": "uint32",
    "tensor(uint16)": "uint16",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}


def predict(given: Any, /) -> dict[str, Any]:
    """Answer one call."""
    session = load()
    wanted = session.get_inputs()
    if not isinstance(given, dict) or set(given) != {one.name for one in wanted}:
        raise ValueError(f"takes an object with {', '.join(one.name for one in wanted)}")
    feed = {one.name: array(given[one.name], one) for one in wanted}
    names = [one.name for one in session.get_outputs()]
    return {name: plain(value) for name, value in zip(names, session.run(names, feed), strict=True)}


@cache
def load() -> Any:
    """Load the model, once."""
    runtime: Any = import_module("onnxruntime")
    return runtime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])


def array(value: Any, wanted: Any) -> Any:
    """Make the array that an input wants; a single row may come without the outer list."""
    numpy: Any = import_module("numpy")
    made = numpy.asarray(value, dtype=TYPES[wanted.type])
    missing = len(wanted.shape) - made.ndim
    return made.reshape((1,) * missing + made.shape) if missing > 0 else made


def plain(value: Any) -> Any:
    """Turn arrays into lists; a classifier's mapping from class to probability stays one."""
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value
