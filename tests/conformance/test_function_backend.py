"""A function in a real runner process keeps what every backend promises."""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lockgate.ai.models.function import FunctionBackend
from lockgate.core.errors import BackendBroken
from lockgate.core.payload import Chat, Message, Rows
from lockgate.core.ports import Backend
from lockgate.testing.conformance.backend import BackendPromises, StreamPromises, ask_for
from tests.processes import runner_functions
from tests.processes.runners import Runner, write_manifest


class Harness:
    """A function in a runner; it marks what it works on in a folder."""

    name = "m"

    def __init__(self, runner: Runner, working: Path) -> None:
        self.backend: Backend = FunctionBackend("m", runner.hosted())
        self._runner = runner
        self._working = working

    async def working(self) -> int:
        return len(os.listdir(self._working))  # noqa: PTH208 — only their number counts

    async def break_down(self) -> None:
        self._runner.kill()


class RowsHarness(Harness):
    """Asked for predictions."""

    question = Rows(input=0)
    long_question = Rows(input=60)


class ChatHarness(Harness):
    """Asked for chats."""

    question = Chat(fields={}, messages=(Message("user", "2"),))
    long_question = Chat(fields={}, messages=(Message("user", "600"),))
    stream_question = Chat(fields={}, messages=(Message("user", "3"),), stream=True)
    long_stream = Chat(fields={}, messages=(Message("user", "600"),), stream=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the functions in it."""
    shutil.copy(runner_functions.__file__, tmp_path)
    (tmp_path / "working").mkdir()
    return tmp_path


async def run(kind: type[Harness], project: Path, function: str) -> AsyncIterator[Harness]:
    """Run *function* for one test."""
    section = f'{{kind: function, call: "runner_functions:{function}"}}'
    manifest = write_manifest(project, {"m": section})
    runner = Runner(manifest, project / "run", "m")
    try:
        harness = kind(runner.started(), project / "working")
        yield harness
        await harness.backend.close()
    finally:
        runner.kill()


FAILING = """
def fail(given: str) -> str:
    raise ValueError("boom " + given)
"""


@pytest.mark.anyio
async def test_what_a_function_raises_quotes_nobody(project: Path) -> None:
    """Only its type leaves the runner process, for predictions, chats and streams."""
    (project / "failing.py").write_text(FAILING)
    sections = {"m": '{kind: function, call: "failing:fail"}'}
    runner = Runner(write_manifest(project, sections), project / "run", "m")
    secret = Message("user", "SECRET")
    backend = FunctionBackend("m", runner.started().hosted())
    try:
        for question in (
            Rows(input="SECRET"),
            Chat(fields={}, messages=(secret,)),
            Chat(fields={}, messages=(secret,), stream=True),
        ):
            with pytest.raises(BackendBroken) as raised:
                await backend.answer(ask_for(question))
            assert raised.value.message == "the function raised ValueError"
            assert not raised.value.said
        await backend.close()
    finally:
        runner.kill()


@pytest.mark.anyio
class TestRows(BackendPromises):
    """An async function that takes JSON."""

    @pytest.fixture
    async def harness(self, project: Path) -> AsyncIterator[Harness]:
        """Give a function that takes as many seconds as it is told."""
        async for harness in run(RowsHarness, project, "work"):
            yield harness


@pytest.mark.anyio
class TestChat(BackendPromises, StreamPromises):
    """An async generator that chats."""

    @pytest.fixture
    async def harness(self, project: Path) -> AsyncIterator[Harness]:
        """Give a function that counts."""
        async for harness in run(ChatHarness, project, "count"):
            yield harness
