"""Runner processes: real ones, real signals, real models."""

import asyncio
import re
import shutil
import signal
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from lockgate.ai.models.function import FunctionBackend
from lockgate.ai.models.hosted import Hosted
from lockgate.ai.models.sklearn import SklearnBackend
from lockgate.core.errors import BackendGone, BackendTimeout, InputRejected
from lockgate.core.exchange import Answer
from lockgate.core.payload import Json, Rows, RowsReply, Tensor, Tensors, TensorsReply
from lockgate.core.ports import Ask, Backend
from tests.processes import runner_functions
from tests.processes.runners import Runner, soon, until_files, write_manifest

pytestmark = pytest.mark.anyio

Start = Callable[..., Runner]
ROUTE = '{kind: function, call: "runner_functions:route"}'
WORK = '{kind: function, call: "runner_functions:work"}'
BLOCK = '{kind: function, call: "runner_functions:block"}'


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Run on uvloop, as workers do."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the functions in it."""
    shutil.copy(runner_functions.__file__, tmp_path)
    (tmp_path / "working").mkdir()
    return tmp_path


@pytest.fixture
def start(project: Path) -> Iterator[Start]:
    """Start runners; whatever is left of them is killed."""
    runners: list[Runner] = []

    def begin(section: str, *, index: int = 0, ready: bool = True, **environ: str) -> Runner:
        manifest = write_manifest(project, {"m": section})
        runners.append(Runner(manifest, project / "run", "m", index))
        runners[-1].start(**environ)
        if ready:
            runners[-1].hear("ready")
        return runners[-1]

    yield begin
    for each in runners:
        each.kill()


@pytest.fixture
async def function(project: Path) -> AsyncIterator[FunctionBackend]:
    """The worker's side of two replicas of a function."""
    run = project / "run"
    backend = FunctionBackend("m", Hosted("m", [run / "m-0.sock", run / "m-1.sock"]))
    yield backend
    await backend.close()


async def ask(backend: Backend, value: Json, seconds: float = 20.0) -> Answer:
    """Ask with a JSON input."""
    request = Rows(input=value)
    return await backend.answer(Ask(call_id="c", request=request, deadline=soon(seconds)))


async def test_a_function_answers_whatever_it_prints(
    start: Start, function: FunctionBackend
) -> None:
    """What user code prints goes to the log; the line carries nothing but answers."""
    start(ROUTE)
    answer = await ask(function, {"ticket": "my bill"})
    assert answer.reply == RowsReply(output={"team": "billing", "confidence": 0.75})
    assert answer.raw.probabilities == (0.75,)
    assert answer.target == "m"


async def test_the_socket_is_for_its_user_alone(start: Start) -> None:
    """Nobody else may connect, nor look into the folder."""
    runner = start(ROUTE)
    assert stat.S_IMODE(runner.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(runner.socket.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("how", ["hang up", "SIGTERM", "SIGINT"])
async def test_it_ends_in_order(start: Start, how: str) -> None:
    """Told to end, or when the supervisor is gone, it ends with 0 and removes its socket."""
    runner = start(ROUTE)
    runner.hang_up() if how == "hang up" else runner.signal(signal.Signals[how])
    assert await asyncio.to_thread(runner.wait) == 0
    assert not runner.socket.exists()


async def test_calls_under_way_finish_before_it_ends(
    start: Start, function: FunctionBackend, project: Path
) -> None:
    """A call that was being answered when the runner was told to end is still answered."""
    runner = start(WORK)
    call = asyncio.ensure_future(ask(function, 0.5))
    await until_files(project / "working", 1)
    runner.signal(signal.SIGTERM)
    assert (await call).reply == RowsReply(output="done")
    assert await asyncio.to_thread(runner.wait) == 0


@pytest.mark.slow
async def test_a_blocked_thread_does_not_keep_it_from_ending(
    start: Start, function: FunctionBackend, project: Path
) -> None:
    """A function that never comes back delays the end by the grace, not for ever."""
    runner = start(BLOCK)
    call = asyncio.ensure_future(ask(function, 3600))
    await until_files(project / "working", 1)
    runner.signal(signal.SIGTERM)
    with pytest.raises(BackendGone):
        await call
    assert await asyncio.to_thread(runner.wait) == 0


async def test_blocked_threads_leave_the_runner_responsive(
    start: Start, function: FunctionBackend, project: Path
) -> None:
    """With all threads taken for ever, further calls time out, and the runner says it is there."""
    start(BLOCK)
    calls = [asyncio.ensure_future(ask(function, 3600)) for _ in range(4)]
    await until_files(project / "working", 4)
    with pytest.raises(BackendTimeout):
        await ask(function, 0, seconds=0.2)
    assert await function.ready()
    for call in calls:
        call.cancel()


async def test_a_kill_in_the_middle_of_a_call_is_gone_and_a_restart_answers(
    start: Start, function: FunctionBackend, project: Path
) -> None:
    """The call fails at once, not at its deadline; after a restart the next one just works."""
    runner = start(WORK)
    call = asyncio.ensure_future(ask(function, 3600, seconds=7200))
    await until_files(project / "working", 1)
    runner.signal(signal.SIGKILL)
    with pytest.raises(BackendGone):
        await call
    assert await asyncio.to_thread(runner.wait) == -signal.SIGKILL
    assert runner.socket.exists()
    with pytest.raises(BackendGone):
        await ask(function, 0)
    start(WORK)
    assert (await ask(function, 0)).reply == RowsReply(output="done")


async def test_a_stopped_runner_is_a_timeout_and_the_other_goes_on(
    start: Start, function: FunctionBackend
) -> None:
    """A frozen replica costs the calls it has; the next ones go to the other; it may come back."""
    frozen = start(WORK)
    start(WORK, index=1)
    while function.hosted.connected < 2:
        await ask(function, 0)
    frozen.signal(signal.SIGSTOP)
    calls = [asyncio.ensure_future(ask(function, 0, seconds=0.5)) for _ in range(2)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Answer", "BackendTimeout"]
    for _ in range(20):
        assert (await ask(function, 0)).reply == RowsReply(output="done")
    frozen.signal(signal.SIGCONT)
    async with asyncio.timeout(10):
        await asyncio.gather(*(ask(function, 0) for _ in range(20)))


async def test_two_runners_do_not_share_a_socket(start: Start) -> None:
    """The second one says who is in the way, and the first goes on."""
    runner = start(ROUTE)
    second = start(ROUTE, ready=False)
    assert await asyncio.to_thread(second.wait) == 1
    assert "another runner serves on" in second.said()
    assert runner.socket.exists()


@pytest.mark.parametrize(
    ("section", "finding"),
    [
        ("{kind: llama, file: runner_functions.py}", "models.m.file: llama.cpp cannot serve"),
        (
            "{kind: sklearn, file: runner_functions.py}",
            "models.m.file: .*cannot be loaded as a skops file",
        ),
        (
            '{kind: llama, file: runner_functions.py, sha256: "' + "0" * 64 + '"}',
            "models.m.sha256: .*is not the file the manifest means",
        ),
    ],
)
async def test_a_model_that_cannot_be_loaded_is_explained_in_one_line(
    start: Start, section: str, finding: str
) -> None:
    """The process ends with 1 and names the place in the manifest, the cause and the fix."""
    runner = start(section, ready=False)
    assert await asyncio.to_thread(runner.wait) == 1
    assert len(runner.said().splitlines()) == 1
    assert re.match(rf"error\[manifest_invalid\]: lockgate.yaml: {finding}", runner.said())


@pytest.mark.parametrize(
    ("kind", "package", "extra"), [("sklearn", "skops", "sklearn"), ("llama", "xllamacpp", "llama")]
)
async def test_a_missing_extra_is_named(
    start: Start, project: Path, kind: str, package: str, extra: str
) -> None:
    """Without the library, the line says what to install."""
    absent = project / "absent"
    absent.mkdir()
    (absent / f"{package}.py").write_text(f"raise ModuleNotFoundError('no {package} here')\n")
    section = "{kind: %s, file: runner_functions.py}" % kind  # noqa: UP031 — braces in braces
    runner = start(section, ready=False, PYTHONPATH=str(absent))
    assert await asyncio.to_thread(runner.wait) == 1
    assert f"pip install 'lockgate[{extra}]'" in runner.said()


async def test_a_forest_gives_its_own_numbers_from_another_process(
    start: Start, project: Path
) -> None:
    """What a runner says equals scikit-learn in process, to the last bit; the manifest trusts."""
    bunch: Any = load_breast_cancer()
    matrix, target = bunch.data, bunch.target
    forest = RandomForestClassifier(20, random_state=0).fit(matrix, target)
    skops.io.dump(forest, project / "forest.skops")
    refused = start("{kind: sklearn, file: forest.skops}", ready=False)
    assert await asyncio.to_thread(refused.wait) == 1
    assert "set trust: [sklearn.tree._tree.Tree]" in refused.said()
    runner = start("{kind: sklearn, file: forest.skops, trust: [sklearn.tree._tree.Tree]}")
    backend = SklearnBackend("m", runner.hosted())
    given = Tensor(name="x", datatype="FP64", shape=matrix.shape, data=matrix.ravel().tolist())
    request = Tensors(inputs=(given,))
    answer = await backend.answer(Ask(call_id="c", request=request, deadline=soon()))
    assert isinstance(answer.reply, TensorsReply)
    predict, probabilities = answer.reply.outputs
    assert predict.data == forest.predict(matrix).astype(np.int64).tobytes()
    assert probabilities.data == forest.predict_proba(matrix).tobytes()
    row = {f"x{place}": value for place, value in enumerate(matrix[0].tolist())}
    output = (await ask(backend, row)).reply
    assert isinstance(output, RowsReply)
    assert (
        list(output.output["probabilities"].values())
        == forest.predict_proba(matrix[:1])[0].tolist()
    )
    with pytest.raises(InputRejected) as raised:
        await backend.answer(
            Ask(
                call_id="c",
                request=Tensors(
                    inputs=(Tensor(name="x", datatype="FP64", shape=(1,), data=["a"]),)
                ),
                deadline=soon(),
            )
        )
    assert "an element is no FP64" in raised.value.said
    assert raised.value.target == "m"
    inputs, outputs = await backend.metadata()
    assert [each.shape for each in (*inputs, *outputs)] == [(-1, 30), (-1,), (-1, 2)]
    await backend.close()
