"""The function that `lockgate init` writes for an ONNX model, on a small runtime."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from lockgate.manifest import onnx_function

RUNTIME = '''
from dataclasses import dataclass
import numpy as np

@dataclass
class Port:
    name: str
    type: str
    shape: list

class InferenceSession:
    """Doubles what it is given, as onnxruntime gives it back: arrays, and a list of mappings."""
    def __init__(self, path, providers):
        assert path.endswith("MODEL_FILE") and providers == ["CPUExecutionProvider"]
    def get_inputs(self): return [Port("x", "tensor(float)", ["n", 2])]
    def get_outputs(self): return [Port("y", "", []), Port("chances", "", [])]
    def run(self, names, feed):
        assert names == ["y", "chances"] and feed["x"].dtype == np.float32
        return [feed["x"] * 2, [{0: np.float32(0.25), 1: np.float32(0.75)}]]
'''


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a small onnxruntime on the import path."""
    (tmp_path / "onnxruntime.py").write_text(RUNTIME)
    monkeypatch.syspath_prepend(tmp_path)
    yield None
    onnx_function.load.cache_clear()
    sys.modules.pop("onnxruntime", None)


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("rows", [[1, 2], [[1, 2]]], ids=["one row", "rows"])
def test_a_call(rows: list[Any]) -> None:
    """A call's JSON becomes the model's arrays, and its outputs become JSON."""
    answer = onnx_function.predict({"x": rows})
    assert answer == {"y": [[2.0, 4.0]], "chances": [{"0": 0.25, "1": 0.75}]}


@pytest.mark.usefixtures("runtime")
@pytest.mark.parametrize("given", [{"z": 1}, {}, [1, 2], {"x": 1, "y": 2}], ids=range(4))
def test_a_wrong_call(given: Any) -> None:
    """A call without the model's inputs is told what they are."""
    with pytest.raises(ValueError, match="takes an object with x"):
        onnx_function.predict(given)
