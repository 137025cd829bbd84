"""A scikit-learn estimator in a real runner process keeps what every backend promises."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import skops.io

from lockgate.ai.models.sklearn import SklearnBackend
from lockgate.core.payload import Rows, Tensor, Tensors
from lockgate.core.ports import Backend
from lockgate.testing.conformance.backend import BackendPromises
from tests.processes import slow_estimator
from tests.processes.runners import Runner, write_manifest

TRUST = "[slow_estimator.Watched]"


class Harness:
    """An estimator that marks what it works on in a folder, and dawdles over negative numbers."""

    name = "m"

    def __init__(self, runner: Runner, working: Path) -> None:
        self.backend: Backend = SklearnBackend("m", runner.hosted())
        self._runner = runner
        self._working = working

    async def working(self) -> int:
        return len(os.listdir(self._working))  # noqa: PTH208 — only their number counts

    async def break_down(self) -> None:
        self._runner.kill()


class RowsHarness(Harness):
    """Asked with JSON."""

    question = Rows(input={"x0": 1.0, "x1": 2.0})
    long_question = Rows(input={"x0": -1.0, "x1": 2.0})


class TensorsHarness(Harness):
    """Asked with tensors."""

    question = Tensors(inputs=(Tensor(name="x", datatype="FP64", shape=(1, 2), data=[1.0, 2.0]),))
    long_question = Tensors(
        inputs=(Tensor(name="x", datatype="FP64", shape=(1, 2), data=[-1.0, 2.0]),)
    )


async def run(kind: type[Harness], folder: Path) -> AsyncIterator[Harness]:
    """Serve a saved estimator for one test."""
    working = folder / "working"
    working.mkdir()
    shutil.copy(slow_estimator.__file__, folder)
    skops.io.dump(slow_estimator.fitted(working), folder / "model.skops")
    manifest = write_manifest(
        folder, {"m": f"{{kind: sklearn, file: model.skops, trust: {TRUST}}}"}
    )
    runner = Runner(manifest, folder / "run", "m")
    try:
        harness = kind(runner.started(PYTHONPATH=str(folder)), working)
        yield harness
        await harness.backend.close()
    finally:
        runner.kill()


@pytest.mark.anyio
class TestRows(BackendPromises):
    """JSON in, JSON out."""

    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[Harness]:
        """Give an estimator asked with JSON."""
        async for harness in run(RowsHarness, tmp_path):
            yield harness


@pytest.mark.anyio
class TestTensors(BackendPromises):
    """Tensors in, tensors out."""

    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[Harness]:
        """Give an estimator asked with tensors."""
        async for harness in run(TensorsHarness, tmp_path):
            yield harness
