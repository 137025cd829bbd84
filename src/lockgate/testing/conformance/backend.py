"""What every `Backend` must do, whatever stands behind it.

Derive a test class from `BackendPromises`, mark it with `anyio`, and give it a fixture `harness`
that yields a `BackendHarness` for your backend:

    @pytest.mark.anyio
    class TestMyBackend(BackendPromises):
        @pytest.fixture
        async def harness(self): ...
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Protocol

from lockgate.core.errors import BackendError, BackendGone, BackendTimeout
from lockgate.core.exchange import Answer
from lockgate.core.payload import (
    Chat,
    ChatChunk,
    ChatReply,
    ChatStream,
    Request,
    RowsReply,
    TensorsReply,
)
from lockgate.core.ports import Ask, Backend

PATIENCE_SECONDS = 20.0
"""How long something that must happen may take before a test fails."""


class BackendHarness(Protocol):
    """A backend, and a hand on what stands behind it.

    Attributes:
        name: What the backend calls itself in its answers.
        question: A request that it answers within seconds.
        long_question: One that it works on until it is stopped, or at least for seconds.
    """

    name: str
    backend: Backend
    question: Request
    long_question: Request

    async def working(self) -> int:
        """Count the requests that are being worked on behind the backend right now."""
        ...

    async def break_down(self) -> None:
        """Kill what stands behind the backend, for good."""
        ...


class StreamHarness(BackendHarness, Protocol):
    """The same for a backend that streams chats.

    Attributes:
        stream_question: A chat with `stream`, answered in several chunks.
        long_stream: A chat with `stream` that goes on for seconds.
    """

    stream_question: Chat
    long_stream: Chat


class BackendPromises:
    """What all backends promise; each test needs a fresh harness."""

    async def test_answers_under_its_own_name(self, harness: BackendHarness) -> None:
        """An answer names its target and leaves price and confidence to others."""
        answer = await _answer(harness, harness.question)
        assert answer.target == harness.name
        assert answer.cost == 0
        assert answer.confidence is None
        assert isinstance(answer.reply, ChatReply | RowsReply | TensorsReply)

    async def test_answers_at_the_same_time(self, harness: BackendHarness) -> None:
        """Calls in flight do not mix up their answers or block each other for good."""
        answers = await asyncio.gather(*(_answer(harness, harness.question) for _ in range(4)))
        assert {answer.target for answer in answers} == {harness.name}

    async def test_is_ready_while_it_answers(self, harness: BackendHarness) -> None:
        """A backend that answers says that it is ready."""
        await until(harness.backend.ready)

    async def test_spent_deadline_is_a_timeout(self, harness: BackendHarness) -> None:
        """A call whose deadline has passed fails without any work being done."""
        error = await _failure(harness, ask_for(harness.question, seconds=-1.0))
        assert isinstance(error, BackendTimeout)
        assert await harness.working() == 0

    async def test_deadline_ends_the_work(self, harness: BackendHarness) -> None:
        """Work that outlasts the deadline is a timeout, and the next call is answered."""
        error = await _failure(harness, ask_for(harness.long_question, seconds=0.3))
        assert isinstance(error, BackendTimeout)
        await _idle(harness)
        await _answer(harness, harness.question)

    async def test_cancel_frees_what_was_held(self, harness: BackendHarness) -> None:
        """A caller who leaves stops the work, and the next call is answered."""
        call = asyncio.ensure_future(harness.backend.answer(ask_for(harness.long_question)))
        await _busy(harness)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        assert call.cancelled()
        await _idle(harness)
        await _answer(harness, harness.question)

    async def test_break_down_is_gone(self, harness: BackendHarness) -> None:
        """What is down is reported as gone, and not as ready."""
        await _answer(harness, harness.question)
        await harness.break_down()
        error = await _failure(harness, ask_for(harness.question, seconds=5.0))
        assert isinstance(error, BackendGone)
        assert not await harness.backend.ready()

    async def test_break_down_in_the_middle_is_gone(self, harness: BackendHarness) -> None:
        """A call in flight when the model dies fails at once, not at its deadline."""
        call = asyncio.ensure_future(_failure(harness, ask_for(harness.long_question, seconds=600)))
        await _busy(harness)
        await harness.break_down()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert isinstance(await call, BackendGone)

    async def test_close_twice(self, harness: BackendHarness) -> None:
        """Closing is done once, however often it is asked for; afterwards calls fail as gone."""
        await harness.backend.close()
        await harness.backend.close()
        error = await _failure(harness, ask_for(harness.question))
        assert isinstance(error, BackendGone)
        assert not await harness.backend.ready()

    async def test_close_fails_calls_in_flight(self, harness: BackendHarness) -> None:
        """A call in flight while its backend is closed fails as gone."""
        call = asyncio.ensure_future(_failure(harness, ask_for(harness.long_question)))
        await _busy(harness)
        await harness.backend.close()
        assert isinstance(await call, BackendGone)


class StreamPromises:
    """What backends that stream promise besides; each test needs a fresh harness."""

    async def test_stream_ends_with_its_reason(self, harness: StreamHarness) -> None:
        """A stream gives text and then one reason for its end."""
        answer = await _answer(harness, harness.stream_question)
        chunks = [chunk async for chunk in _stream(answer).chunks]
        assert "".join(chunk.text for chunk in chunks)
        assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason]
        await _idle(harness)

    async def test_stream_that_is_closed_stops_the_work(self, harness: StreamHarness) -> None:
        """A reader who stops early stops the work, and the next call is answered."""
        chunks = _stream(await _answer(harness, harness.long_stream)).chunks
        await anext(chunks)
        await _close(chunks)
        await _idle(harness)
        await _answer(harness, harness.question)

    async def test_stream_that_is_never_read_stops_the_work(self, harness: StreamHarness) -> None:
        """Closing a stream before its first chunk was taken stops the work as well."""
        await _close(_stream(await _answer(harness, harness.long_stream)).chunks)
        await _idle(harness)

    async def test_stream_cut_by_the_deadline_raises(self, harness: StreamHarness) -> None:
        """A stream still running at its deadline raises and never ends as if it were complete."""
        ask = ask_for(harness.long_stream, seconds=0.7)
        error = await _broken(_stream(await harness.backend.answer(ask)))
        assert isinstance(error, BackendTimeout)
        assert error.after_output
        await _idle(harness)

    async def test_stream_cut_by_a_break_down_raises(self, harness: StreamHarness) -> None:
        """A stream whose model dies raises and never ends as if it were complete."""
        stream = _stream(await _answer(harness, harness.long_stream))
        await harness.break_down()
        error = await _broken(stream)
        assert isinstance(error, BackendGone)
        assert error.after_output


def ask_for(request: Request, *, seconds: float = PATIENCE_SECONDS) -> Ask:
    """Ask *request* with a deadline *seconds* from now."""
    return Ask(call_id="call-1", request=request, deadline=time.monotonic() + seconds)


async def until(condition: Callable[[], object]) -> None:
    """Wait until *condition*, which may be async, holds; fail when patience is over."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            held = condition()
            if asyncio.iscoroutine(held):
                held = await held
            if held:
                return
            await asyncio.sleep(0.01)


async def _answer(harness: BackendHarness, request: Request) -> Answer:
    return await harness.backend.answer(ask_for(request))


async def _failure(harness: BackendHarness, ask: Ask) -> BackendError:
    error = await _error_of(harness.backend.answer(ask))
    assert error.target == harness.name
    return error


async def _error_of(work: Awaitable[object]) -> BackendError:
    try:
        result = await work
    except BackendError as error:
        return error
    raise AssertionError(f"should have failed, but gave {result!r}")


def _stream(answer: Answer) -> ChatStream:
    assert isinstance(answer.reply, ChatStream)
    return answer.reply


async def _broken(stream: ChatStream) -> BackendError:
    seen: list[ChatChunk] = []

    async def read() -> int:
        async for chunk in stream.chunks:
            seen.append(chunk)  # noqa: PERF401 — what came before the error counts
        return len(seen)

    error = await _error_of(read())
    assert seen, "the output that the stream began with was lost"
    return error


async def _close(chunks: object) -> None:
    """Close an iterator of chunks; that it can be closed is part of `ChatStream`'s contract."""
    close = getattr(chunks, "aclose", None)
    assert close is not None
    await close()


async def _busy(harness: BackendHarness) -> None:
    await until(harness.working)


async def _idle(harness: BackendHarness) -> None:
    async def idle() -> bool:
        return await harness.working() == 0

    await until(idle)
