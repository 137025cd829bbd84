"""How Python functions are called, and what becomes of what they do."""

import asyncio
import dataclasses
import datetime as dt
import functools
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lockgate.ai.models import frames
from lockgate.ai.models.attribute import find_function
from lockgate.ai.models.function import FunctionModel
from lockgate.ai.models.hosting import Said
from lockgate.ai.models.threads import Threads
from lockgate.core.errors import (
    BackendBroken,
    BackendBusy,
    BackendRejected,
    InputRejected,
    ManifestError,
)
from lockgate.core.payload import Json, Message, Rows, Tensors

pytestmark = pytest.mark.anyio

Host = Callable[..., FunctionModel]


@pytest.fixture
def host() -> Iterator[Host]:
    """Host functions; their threads end with the test."""
    made: list[Threads] = []

    def make(function: Callable[..., Any], places: int = 4) -> FunctionModel:
        made.append(Threads(places))
        return FunctionModel(function, made[-1])

    yield make
    for threads in made:
        threads.close()


async def rows(model: FunctionModel, value: Json) -> Json:
    """Ask with a JSON input; give the output."""
    said = await model.answer(Rows(input=value))
    assert isinstance(said, Said)
    return said.body


async def chat(model: FunctionModel, *texts: str) -> Json:
    """Ask as a user who says *texts*; give the whole text."""
    messages = tuple(Message("user", text) for text in texts)
    said = await model.answer(frames.Turns(messages=messages))
    assert isinstance(said, Said)
    return said.body


async def stream(model: FunctionModel, text: str) -> list[str]:
    """Ask for a stream; give its pieces."""
    turns = frames.Turns(messages=(Message("user", text),), stream=True)
    pieces = await model.answer(turns)
    assert isinstance(pieces, AsyncGenerator)
    return [piece async for piece in pieces]


# Calling


def route(ticket: str, urgent: bool = False) -> dict[str, Json]:
    """Take keywords."""
    return {"team": ticket, "urgent": urgent}


def whole(value: Json) -> Json:
    """Take the input as it is."""
    return value


def anything(**fields: Json) -> Json:
    """Take any fields."""
    return sorted(fields)


def optional(setting: Json = None) -> Json:
    """Take something or nothing."""
    return setting


def add(a: int, b: int) -> int:
    """Take two."""
    return a + b


def nothing() -> int:
    """Take none."""
    return 1


def by_keyword(*, a: int) -> int:
    """Take no positional argument."""
    return a


def always(result: object) -> Callable[[Json], object]:
    """Make a function that gives *result*, whatever it gets."""

    def give(_: Json) -> object:
        return result

    return give


@pytest.mark.parametrize(
    ("function", "value", "output"),
    [
        (route, {"ticket": "a"}, {"team": "a", "urgent": False}),
        (route, {"ticket": "a", "urgent": True}, {"team": "a", "urgent": True}),
        (route, "a", {"team": "a", "urgent": False}),
        (whole, {"value": 3}, 3),
        (whole, {"other": 3}, {"other": 3}),
        (whole, [1, 2], [1, 2]),
        (whole, None, None),
        (anything, {"b": 1, "a": 2}, ["a", "b"]),
        (optional, {"setting": 3}, 3),
        (optional, {"other": 3}, {"other": 3}),
        (len, [1, 2, 3], 3),
        (functools.partial(route, urgent=True), {"ticket": "x"}, {"team": "x", "urgent": True}),
    ],
)
async def test_an_input_becomes_arguments(
    host: Host, function: Callable[..., Json], value: Json, output: Json
) -> None:
    """An object with all required parameters is spread over them; all else is one argument."""
    assert await rows(host(function), value) == output


@pytest.mark.parametrize(
    ("function", "value", "reason"),
    [
        (route, {"ticket": "a", "colour": "red"}, "unexpected keyword argument 'colour'"),
        (add, {"a": 1}, "missing a required argument: 'b'"),
        (nothing, [1], "too many positional arguments"),
        (by_keyword, {}, "missing a required argument: 'a'"),
    ],
)
async def test_an_input_that_does_not_fit_is_rejected(
    host: Host, function: Callable[..., Json], value: Json, reason: str
) -> None:
    """The caller learns which argument is missing or unknown, and the function is not called."""
    with pytest.raises(InputRejected) as raised:
        await rows(host(function), value)
    assert raised.value.message == "the input does not fit the function's signature"
    assert reason in raised.value.said


async def test_a_chat_function_gets_the_messages_if_it_asks_for_them(host: Host) -> None:
    """A first parameter called `messages` gets roles and contents, instructions included."""

    def count(messages: list[dict[str, Json]]) -> str:
        return ",".join(f"{said['role']}:{said['content']}" for said in messages)

    said = await host(count).answer(
        frames.Turns(messages=(Message("system", "be brief"), Message("user", "hi")))
    )
    assert said == Said(body="system:be brief,user:hi")


async def test_a_chat_function_gets_the_last_text_otherwise(host: Host) -> None:
    """Any other parameter gets what the user said last; parts of text are joined."""
    assert await chat(host(str.upper), "one", "two") == "TWO"
    parts: list[dict[str, Json]] = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {}},
        {"type": "text", "text": "b"},
    ]
    messages = (Message("user", parts), Message("assistant", "well"))
    assert await host(str.upper).answer(frames.Turns(messages=messages)) == Said(body="AB")


async def test_a_chat_without_a_user_is_rejected(host: Host) -> None:
    """There is nothing to hand to the function."""
    with pytest.raises(InputRejected, match="no message of the user"):
        await host(str.upper).answer(frames.Turns(messages=(Message("system", "x"),)))


async def test_tensors_are_rejected(host: Host) -> None:
    """A function takes JSON or messages."""
    with pytest.raises(BackendRejected, match="not tensors"):
        await host(whole).answer(Tensors(inputs=()))


# What comes back


@dataclasses.dataclass
class Team:
    """What a typed function returns."""

    name: str
    since: dt.date


@pytest.mark.parametrize(
    ("result", "output"),
    [
        (np.float64(0.1), 0.1),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        ({"score": np.float32(0.5), "ids": np.arange(2)}, {"score": 0.5, "ids": [0, 1]}),
        (Team("a", dt.date(2026, 1, 2)), {"name": "a", "since": "2026-01-02"}),
        ({"pair": (1, 2.5)}, {"pair": (1, 2.5)}),
        ({1: "a"}, {"1": "a"}),
    ],
)
async def test_results_become_json(host: Host, result: object, output: Json) -> None:
    """Numpy's and Python's own types arrive as the JSON one would write by hand."""
    assert await rows(host(always(result)), 0) == output


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (float("nan"), "NaN"),
        ((1.0, float("nan")), "NaN"),
        ({"a": [1.0, np.inf]}, "infinity"),
        (object(), "object"),
        (nothing, "function"),
    ],
)
async def test_results_without_a_json_form_are_broken(
    host: Host, result: object, reason: str
) -> None:
    """What JSON cannot say is never turned into something else in silence."""
    with pytest.raises(BackendBroken, match=reason):
        await rows(host(always(result)), 0)


class Model:
    """A result that fails when it is turned into JSON, as pydantic's may, with what it holds."""

    def model_dump(self, *, mode: str) -> object:
        raise ValueError(f"{mode} of SECRET")


async def test_a_result_that_cannot_be_converted_quotes_nobody(host: Host) -> None:
    """The words of whoever converts it may hold what the caller said."""
    with pytest.raises(BackendBroken) as raised:
        await rows(host(always(Model())), 0)
    assert raised.value.message.endswith("no JSON form: Model raised ValueError when converted")
    assert not raised.value.said


@pytest.mark.parametrize(
    ("result", "evidence"),
    [
        ({"team": "a", "confidence": 0.75}, (0.75,)),
        ({"team": "a", "confidence": 1}, (1.0,)),
        ({"team": "a", "confidence": np.float64(0.5)}, (0.5,)),
        ({"team": "a", "confidence": 75}, ()),
        ({"team": "a", "confidence": True}, ()),
        ({"team": "a", "confidence": "high"}, ()),
        ({"confidence": 0.75}, ()),
        ({"team": "a"}, ()),
        (0.75, ()),
    ],
)
async def test_a_result_may_say_how_sure_it_is(
    host: Host, result: object, evidence: tuple[float, ...]
) -> None:
    """A number between 0 and 1 under `confidence`, beside something else, is evidence."""
    said = await host(always(result)).answer(Rows(input=0))
    assert isinstance(said, Said)
    assert said.probabilities == evidence


async def test_a_chat_function_must_give_text(host: Host) -> None:
    """An object is no chat message."""
    with pytest.raises(BackendBroken, match="gives text; this one gave dict"):
        await chat(host(always({"text": "hi"})), "hi")


# Kinds of functions


async def later(text: str) -> str:
    """Be async."""
    await asyncio.sleep(0)
    return text[::-1]


def words(text: str) -> Iterator[str]:
    """Be a generator."""
    yield from text.split()


async def words_later(text: str) -> AsyncIterator[str]:
    """Be an async generator."""
    for word in text.split():
        await asyncio.sleep(0)
        yield word


def hand_over(function: Callable[[str], object], text: str) -> object:
    """Look sync and give something async."""
    return function(text)


class Object:
    """Be called like a function."""

    async def __call__(self, text: str) -> str:
        return text + "!"


@pytest.mark.parametrize(
    ("function", "pieces"),
    [
        (str.upper, ["A B"]),
        (later, ["b a"]),
        (words, ["a", "b"]),
        (words_later, ["a", "b"]),
        (Object(), ["a b!"]),
        (functools.partial(hand_over, later), ["b a"]),
        (functools.partial(hand_over, words_later), ["a", "b"]),
    ],
)
async def test_every_kind_of_function_streams_and_answers_whole(
    host: Host, function: Callable[..., Any], pieces: list[str]
) -> None:
    """Sync or async, generator or not: a stream has its pieces, a whole answer all of them."""
    assert await stream(host(function), "a b") == pieces
    assert await chat(host(function), "a b") == "".join(pieces)


async def test_a_generator_that_yields_no_text_is_broken(host: Host) -> None:
    """Numbers are no pieces of text."""
    with pytest.raises(BackendBroken, match="gave int"):
        await stream(host(always(iter([1]))), "x")


async def test_a_stream_that_is_left_runs_its_finally(host: Host) -> None:
    """A generator nobody reads on is closed, so that it can tidy up."""
    tidied = threading.Event()

    def endless(_: str) -> Iterator[str]:
        try:
            while True:
                yield "x"
        finally:
            tidied.set()

    turns = frames.Turns(messages=(Message("user", ""),), stream=True)
    pieces = await host(endless).answer(turns)
    assert isinstance(pieces, AsyncGenerator)
    assert await anext(pieces) == "x"
    await pieces.aclose()
    assert tidied.is_set()


# What goes wrong in them


def divide(_: Json) -> Json:
    """Fail in a thread."""
    return 1 / 0


def leave(_: Json) -> Json:
    """Try to end the process."""
    sys.exit(3)


def stop(_: Json) -> Json:
    """Raise what a future cannot carry."""
    raise StopIteration


async def fail_later(_: Json) -> Json:
    """Fail on the loop."""
    raise KeyError("ticket")


def fail_midway(_: Json) -> Iterator[str]:
    """Fail after a piece."""
    yield "a"
    raise ValueError("too long")


@pytest.mark.parametrize(
    ("function", "fact"),
    [
        (divide, "ZeroDivisionError"),
        (leave, "SystemExit"),
        (stop, "StopIteration"),
        (fail_later, "KeyError"),
        (fail_midway, "ValueError"),
    ],
)
async def test_what_a_function_raises_is_a_fact_for_the_caller_and_a_traceback_here(
    host: Host, function: Callable[..., Json], fact: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Callers learn the type; message and traceback stay on the runner's stderr."""
    with pytest.raises(BackendBroken) as raised:
        await rows(host(function), 0)
    assert raised.value.message == f"the function raised {fact}"
    assert not raised.value.said
    assert "Traceback" in capfd.readouterr().err
    assert await rows(host(whole), 1) == 1


def wait_for(event: threading.Event, _: Json) -> bool:
    """Block."""
    return event.wait(20)


async def test_blocked_threads_leave_the_loop_alone(host: Host) -> None:
    """With every place taken, async calls and the loop go on; the places come back in the end."""
    release = threading.Event()
    blocked = host(functools.partial(wait_for, release), places=2)
    calls = [asyncio.ensure_future(rows(blocked, 0)) for _ in range(3)]
    assert await rows(host(later), "ab") == "ba"
    assert not any(call.done() for call in calls)
    release.set()
    assert await asyncio.gather(*calls) == [True, True, True]


async def test_a_cancelled_thread_keeps_its_place(host: Host) -> None:
    """Nothing can stop a thread: a call given up still counts until it really ends."""
    release = threading.Event()
    threads = Threads(1)
    model = FunctionModel(functools.partial(wait_for, release), threads)
    call = asyncio.ensure_future(rows(model, 0))
    while not threads.busy:  # noqa: ASYNC110 — a thread's start raises no event
        await asyncio.sleep(0)
    call.cancel()
    await asyncio.sleep(0)
    assert threads.busy == 1
    assert not call.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await rows(model, 0)
    threads.close()


async def test_a_thread_that_is_given_up_twice_keeps_its_place(host: Host) -> None:
    """At a deadline the runner gives up, and so does the caller: the call still has not ended."""
    release = threading.Event()
    call = asyncio.ensure_future(rows(host(functools.partial(wait_for, release)), 0))
    for _ in range(3):
        await asyncio.sleep(0.01)
        call.cancel()
    await asyncio.sleep(0.01)
    assert not call.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_all_threads_are_lost_once_nobody_waits_for_any() -> None:
    """A caller who waits, a free place, or a thread that comes back in time: they are not lost.

    While they are, the model says that it cannot take a call.
    """
    release = [threading.Event(), threading.Event()]
    threads = Threads(2)
    models = [FunctionModel(functools.partial(wait_for, each), threads) for each in release]
    lost = asyncio.ensure_future(threads.until_all_lost(0.2))
    calls = [asyncio.ensure_future(rows(model, 0)) for model in models]
    await asyncio.sleep(0.01)
    calls[0].cancel()
    await asyncio.sleep(0.3)
    models[0].describe()
    calls[1].cancel()
    await asyncio.sleep(0.01)
    with pytest.raises(BackendBusy, match="2 calls have not come back"):
        models[0].describe()
    release[0].set()
    await asyncio.wait(calls[:1])
    models[0].describe()
    await asyncio.sleep(0.3)
    assert not lost.done()
    release[0].clear()
    again = asyncio.ensure_future(rows(models[0], 0))
    await asyncio.sleep(0.01)
    again.cancel()
    assert await lost == 2
    assert len(threads.within) == 2
    for each in release:
        each.set()
    await asyncio.wait([again, calls[1]])
    assert not threads.within
    threads.close()


async def test_what_hangs_while_tidying_up_is_lost_too(host: Host) -> None:
    """A generator that was given up and never closes has nobody who waits for it."""
    release, begun = threading.Event(), threading.Event()

    def generate(_: Json) -> Iterator[str]:
        try:
            begun.set()
            yield "a"
            time.sleep(0.05)
            yield "b"
        finally:
            release.wait(20)

    threads = Threads(1)
    call = asyncio.ensure_future(rows(FunctionModel(generate, threads), 0))
    await asyncio.to_thread(begun.wait)
    call.cancel()
    assert await threads.until_all_lost(0.1) == 1
    release.set()
    await asyncio.wait([call])
    threads.close()


# Finding them


def test_a_function_is_found_beside_the_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest's folder comes first on the import path."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "found_beside.py").write_text("def go(x):\n    return x + 1\n")
    assert find_function("found_beside:go", tmp_path)(1) == 2


@pytest.mark.parametrize(
    ("call", "finding"),
    [
        ("no_such_module:go", "there is no module no_such_module, neither in"),
        ("wrong_functions:rout", "has no rout; did you mean route?"),
        ("wrong_functions:table", "is a dict, not something that can be called"),
        ("wrong_import:go", "wrong_import imports no_such_package, which is not installed"),
        ("wrong_syntax:go", "importing wrong_syntax failed with SyntaxError"),
        ("wrong_start:go", "importing wrong_start failed with RuntimeError: no token"),
    ],
)
def test_what_cannot_be_found_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, finding: str
) -> None:
    """A wrong name, a missing package and code that fails on import are told apart."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name, text in {
        "wrong_functions": "def route(x):\n    return x\ntable = {}\n",
        "wrong_import": "import no_such_package\n",
        "wrong_syntax": "def go(:\n",
        "wrong_start": "raise RuntimeError('no token')\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ManifestError) as raised:
        find_function(call, tmp_path)
    assert finding in raised.value.findings[0]
