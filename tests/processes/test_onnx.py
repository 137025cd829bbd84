"""An ONNX model, from `lockgate init` to its answers, with the real onnxruntime."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lockgate.ai.models.function import FunctionBackend
from lockgate.cli.init import init
from lockgate.core.errors import BackendBroken
from lockgate.core.payload import Json, Rows, RowsReply
from lockgate.testing.conformance.backend import ask_for
from tests.processes.runners import Runner

MODEL = Path(__file__).parents[1] / "unit" / "manifest" / "models" / "iris.onnx"
"""scikit-learn's logistic regression on its iris flowers, written by skl2onnx 1.20."""
SETOSA = {"setosa": 0.981657, "versicolor": 0.018343, "virginica": 0.0}
VIRGINICA = {"setosa": 0.000435, "versicolor": 0.195340, "virginica": 0.804225}
"""What scikit-learn itself gives."""


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    """Begin a project from the model's file; give its runner."""
    shutil.copy(MODEL, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert init(source="iris.onnx") == 0
    return Runner(tmp_path / "lockgate.yaml", tmp_path / "run", "iris")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("given", "labels", "chances"),
    [
        ([5.1, 3.5, 1.4, 0.2], ["setosa"], [SETOSA]),
        ([[5.1, 3.5, 1.4, 0.2], [6, 3, 5, 2]], ["setosa", "virginica"], [SETOSA, VIRGINICA]),
    ],
    ids=["one row", "rows"],
)
async def test_a_model_answers_as_where_it_was_trained(
    runner: Runner, given: Json, labels: list[str], chances: list[dict[str, float]]
) -> None:
    """What `lockgate init` writes gives scikit-learn's own numbers, and outlives a wrong call."""
    try:
        runner.started()
        backend = FunctionBackend("iris", runner.hosted())
        with pytest.raises(BackendBroken):
            await backend.answer(ask_for(Rows(input={"Y": given})))
        with pytest.raises(BackendBroken):
            await backend.answer(ask_for(Rows(input={"X": [1.0, 2.0]})))
        reply = (await backend.answer(ask_for(Rows(input={"X": given})))).reply
        await backend.close()
    finally:
        runner.kill()
    assert isinstance(reply, RowsReply)
    assert reply.output["output_label"] == labels
    for told, known in zip(reply.output["output_probability"], chances, strict=True):
        assert told == pytest.approx(known, abs=1e-5)
