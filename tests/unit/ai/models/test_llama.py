"""Which replica of a language model gets a call."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lockgate.ai.models.llama import LlamaBackend, LlamaSettings, serve_llama
from lockgate.core.errors import BackendError, BackendGone, BackendTimeout, ManifestError
from lockgate.core.exchange import Answer
from lockgate.core.payload import Chat, ChatChunk, ChatReply, ChatStream, Message
from lockgate.core.ports import Ask

pytestmark = pytest.mark.anyio

CHAT = Chat(fields={}, messages=(Message("user", "hi"),))
STREAM = Chat(fields={}, messages=(Message("user", "hi"),), stream=True)


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def monotonic(self) -> float:
        return self.seconds

    def now_ns(self) -> int:
        return int(self.seconds * 1e9)


class Replica:
    """Answers when `go` is set, or fails with `error`."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.asked = 0
        self.probed = 0
        self.error: BackendError | None = None
        self.is_ready = True
        self.closed = False

    async def answer(self, ask: Ask) -> Answer:
        self.asked += 1
        await self.go.wait()
        if self.error is not None:
            raise self.error
        reply = ChatStream(self._chunks()) if ask.request is STREAM else ChatReply(text="hello")
        return Answer(reply=reply, target="m")

    async def ready(self) -> bool:
        self.probed += 1
        return self.is_ready

    async def close(self) -> None:
        self.closed = True

    async def _chunks(self) -> AsyncIterator[ChatChunk]:
        for word in ("a", "b"):
            if self.error is not None:
                raise self.error
            yield ChatChunk(text=word)


def ask(request: Chat = CHAT) -> Ask:
    """Make a question."""
    return Ask(call_id="c", request=request, deadline=0.0)


async def close(chunks: object) -> None:
    """Close a stream as a surface does when its caller has left."""
    aclose = getattr(chunks, "aclose", None)
    assert aclose is not None
    await aclose()


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until *condition* holds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("never came true")


async def test_calls_go_to_the_least_busy_replica() -> None:
    """Calls under way spread evenly."""
    replicas = [Replica(), Replica(), Replica()]
    for each in replicas:
        each.go.clear()
    backend = LlamaBackend("m", replicas)
    calls = [asyncio.ensure_future(backend.answer(ask())) for _ in range(9)]
    await until(lambda: sum(each.asked for each in replicas) == 9)
    assert [each.asked for each in replicas] == [3, 3, 3]
    for each in replicas:
        each.go.set()
    await asyncio.gather(*calls)


@pytest.mark.parametrize("how", ["read", "closed", "broken"])
async def test_a_stream_counts_until_it_is_over(how: str) -> None:
    """A stream keeps its replica busy until it was read, closed, or broke off; then no more."""
    first, second = Replica(), Replica()
    backend = LlamaBackend("m", [first, second])
    answer = await backend.answer(ask(STREAM))
    assert isinstance(answer.reply, ChatStream)
    chunks = answer.reply.chunks
    await backend.answer(ask())
    assert (first.asked, second.asked) == (1, 1)
    if how == "read":
        assert [chunk.text async for chunk in chunks] == ["a", "b"]
    elif how == "closed":
        await anext(chunks)
        await close(chunks)
    else:
        first.error = BackendError("cut")
        with pytest.raises(BackendError):
            [chunk async for chunk in chunks]
        first.error = None
    await backend.answer(ask())
    assert (first.asked, second.asked) == (2, 1)


@pytest.mark.parametrize("error", [BackendGone("down"), BackendTimeout("late")])
async def test_a_replica_in_doubt_is_passed_over_until_it_is_ready(error: BackendError) -> None:
    """It gets no calls while others are well, is asked now and then, and then gets calls again."""
    time = Time()
    ill, well = Replica(), Replica()
    backend = LlamaBackend("m", [ill, well], time)
    ill.error, ill.is_ready = error, False
    with pytest.raises(type(error)):
        await backend.answer(ask())
    for _ in range(10):
        await backend.answer(ask())
    await until(lambda: ill.probed == 1)
    assert (ill.asked, well.asked) == (1, 10)
    ill.error, ill.is_ready = None, True
    time.seconds += 1
    await backend.answer(ask())
    await until(lambda: ill.probed == 2)
    await backend.answer(ask())
    assert ill.asked == 2


async def test_the_last_replica_is_asked_even_in_doubt() -> None:
    """With nobody else there, a call is a try; success ends the doubt."""
    only = Replica()
    backend = LlamaBackend("m", [only])
    only.error = BackendGone("down")
    with pytest.raises(BackendGone):
        await backend.answer(ask())
    only.error = None
    assert (await backend.answer(ask())).target == "m"
    assert only.probed == 0


async def test_ready_if_any_replica_is_and_closed_with_all() -> None:
    """One ready replica is enough; closing closes every one."""
    first, second = Replica(), Replica()
    backend = LlamaBackend("m", [first, second])
    first.is_ready = False
    assert await backend.ready()
    second.is_ready = False
    assert not await backend.ready()
    await backend.close()
    assert first.closed
    assert second.closed


async def test_a_cancelled_call_gives_its_place_back() -> None:
    """A caller who leaves does not keep a replica busy for ever."""
    first, second = Replica(), Replica()
    first.go.clear()
    backend = LlamaBackend("m", [first, second])
    call = asyncio.ensure_future(backend.answer(ask()))
    await until(lambda: first.asked == 1)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    first.go.set()
    await backend.answer(ask())
    assert (first.asked, second.asked) == (2, 0)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    """llama.cpp's refusal names the file."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + b"\0" * 100)
    settings = LlamaSettings(path, context=256, parallel=1, threads=1)
    with pytest.raises(ManifestError, match=r"file: llama\.cpp cannot serve .*model\.gguf"):
        serve_llama(settings, tmp_path / "m.sock", "token")
