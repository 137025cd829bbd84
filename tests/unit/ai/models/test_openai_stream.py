"""The OpenAI backend before a scripted upstream: streams, passed on and put together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from lockgate.ai.models import openai_stream
from lockgate.ai.models.openai import OpenAIBackend
from lockgate.ai.models.wire import Origin, Wire
from lockgate.core.errors import (
    BackendBroken,
    BackendError,
    BackendGone,
    BackendTimeout,
)
from lockgate.core.payload import (
    ChatChunk,
    ChatReply,
    ChatStream,
    Usage,
)
from lockgate.testing.conformance.backend import until
from lockgate.testing.upstream import (
    EVENTS_HEAD,
    LAST_CHUNK,
    Upstream,
    Visit,
    event,
    whole,
)
from tests.unit.ai.models.openai_bench import (
    PLAIN,
    REPLY,
    STREAM,
    ask,
    backend,
    chat,
)

pytestmark = pytest.mark.anyio


ROLE = event(b'{"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}')
NULL_ROLE = event(b'{"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}')
HI = event(
    b'{"id":"1","choices":[{"index":0,"delta":{"content":"hi"},'
    b'"logprobs":{"content":[{"logprob":-0.1}]}}],"usage":null}'
)
THERE = event(b'{"id":"1","choices":[{"index":0,"delta":{"content":" there"}}]}')
STOP = event(b'{"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}')
USAGE = event(b'{"id":"1","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}')
DONE = event(b"[DONE]")
ERROR = event(b'{"error":{"message":"out of memory"}}')
COMPLETE = (EVENTS_HEAD, ROLE, HI, THERE, STOP, USAGE, DONE, LAST_CHUNK)
UNTIL_EOF = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"


async def stream_of(made: OpenAIBackend, **terms: Any) -> ChatStream:
    """Ask for a stream."""
    answer = await made.answer(ask(chat(STREAM), **terms))
    assert isinstance(answer.reply, ChatStream)
    return answer.reply


async def read(chunks: AsyncIterator[ChatChunk], seen: list[ChatChunk]) -> None:
    """Read to the end into *seen*, which keeps what came before an error."""
    async for chunk in chunks:
        seen.append(chunk)  # noqa: PERF401 — what came before the error counts


@pytest.mark.parametrize("at_once", [True, False])
async def test_stream(at_once: bool) -> None:
    """A stream gives all chunks in order, and its connection serves the next one."""
    pieces = [b"".join(COMPLETE)] if at_once else COMPLETE
    async with backend(pieces) as (made, upstream):
        for _ in range(3):
            chunks = [chunk async for chunk in (await stream_of(made)).chunks]
            assert [chunk.text for chunk in chunks] == ["", "hi", " there", "", ""]
            assert chunks[3].finish_reason == "stop"
            assert chunks[4].usage == Usage(input_tokens=3, output_tokens=2)
            assert chunks[1].logprobs == (-0.1,)
            assert b"logprobs" not in bytes(chunks[1].fields["choices"])
            assert bytes(chunks[1].fields["id"]) == b'"1"'
        assert len(upstream.visits) == 1


async def test_stream_begins_with_output() -> None:
    """A stream counts as begun with its first word, not with a role."""
    gate = asyncio.Event()

    async def script(visit: Visit) -> None:
        await visit.request()
        await visit.send(EVENTS_HEAD, ROLE, ROLE)
        await gate.wait()
        await visit.send(HI, STOP, DONE, LAST_CHUNK)

    async with Upstream(script) as upstream:
        wire = Wire(Origin.parse(upstream.url), headers={}, limit=1, connect_timeout=5)
        made = OpenAIBackend("small", wire, model="up")
        waiting = asyncio.ensure_future(made.answer(ask(chat(STREAM))))
        visit = await upstream.visited()
        await until(lambda: visit.received)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        gate.set()
        reply = (await waiting).reply
        assert isinstance(reply, ChatStream)
        assert [chunk.text async for chunk in reply.chunks] == ["", "", "hi", ""]
        await made.close()


@pytest.mark.parametrize(
    ("delta", "finish"),
    [
        (b'{"content":"x"}', b"null"),
        (b'{"tool_calls":[{"index":0,"id":"1"}]}', b"null"),
        (b'{"refusal":"No."}', b"null"),
        (b'{"reasoning_content":"hm"}', b"null"),
        (b"{}", b'"length"'),
    ],
)
async def test_what_counts_as_output(delta: bytes, finish: bytes) -> None:
    """Words, tool calls, refusals, thoughts and an end all begin a stream."""
    piece = event(b'{"choices":[{"delta":%b,"finish_reason":%b}]}' % (delta, finish))
    async with backend([EVENTS_HEAD, ROLE, piece]) as (made, _):
        stream = await stream_of(made)
        await anext(stream.chunks)
        await anext(stream.chunks)


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ([LAST_CHUNK], BackendGone),
        ([ROLE, LAST_CHUNK], BackendGone),
        ([ROLE], BackendGone),
        ([ROLE, DONE, LAST_CHUNK], BackendBroken),
        ([ROLE, ERROR], BackendBroken),
        ([event(b"{")], BackendBroken),
        ([event(b'"x"')], BackendBroken),
        ([b"zz\r\n"], BackendBroken),
    ],
    ids=["nothing", "role", "cut", "done", "error", "half", "text", "no chunk"],
)
async def test_failure_before_output(pieces: list[bytes], kind: type[BackendError]) -> None:
    """Before the first word a failure is an exception, so that another target can be asked."""
    async with backend([EVENTS_HEAD, *pieces], stay=False) as (made, _):
        with pytest.raises(kind) as caught:
            await stream_of(made)
    assert not caught.value.after_output
    assert caught.value.target == "small"


@pytest.mark.parametrize("role", [ROLE, NULL_ROLE], ids=["empty", "null"])
async def test_an_end_at_once_is_an_answer(role: bytes) -> None:
    """A stream may end before its first word, as where a `stop` is met by the first token.

    Put together, its text is empty, not null: that would be a message without any.
    """
    pieces = [EVENTS_HEAD, role, STOP, USAGE, DONE, LAST_CHUNK]
    async with backend(pieces) as (made, _):
        chunks = [chunk async for chunk in (await stream_of(made)).chunks]
    assert [chunk.finish_reason for chunk in chunks] == [None, "stop", None]
    async with backend(pieces, dialect="llama") as (made, _):
        reply = (await made.answer(ask(chat(PLAIN)))).reply
    assert isinstance(reply, ChatReply)
    assert (reply.text, reply.finish_reason) == ("", "stop")
    (choice,) = msgspec.json.decode(reply.fields["choices"])
    assert choice["message"] == {"role": "assistant", "content": ""}


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ([LAST_CHUNK], BackendGone),
        ([], BackendGone),
        ([THERE[:-3]], BackendGone),
        ([DONE, LAST_CHUNK], BackendBroken),
        ([ERROR, DONE, LAST_CHUNK], BackendBroken),
        ([event(b"{"), STOP, DONE, LAST_CHUNK], BackendBroken),
        ([b"zz\r\n"], BackendBroken),
        ([STOP], BackendGone),
    ],
    ids=["end", "cut", "half", "done", "error", "nonsense", "no chunk", "cut after the reason"],
)
@pytest.mark.parametrize("at_once", [True, False])
async def test_failure_after_output(
    pieces: list[bytes], kind: type[BackendError], at_once: bool
) -> None:
    """After the first word a failure is raised by the stream, behind the words it gave."""
    sent_pieces = [EVENTS_HEAD, ROLE, HI, *pieces]
    answer = [b"".join(sent_pieces)] if at_once else sent_pieces
    seen: list[ChatChunk] = []
    async with backend(answer, stay=False) as (made, _):
        chunks = (await stream_of(made)).chunks
        with pytest.raises(kind) as caught:
            await read(chunks, seen)
    assert [chunk.text for chunk in seen][:2] == ["", "hi"]
    assert caught.value.after_output
    assert caught.value.target == "small"


@pytest.mark.parametrize(
    "pieces",
    [
        [EVENTS_HEAD, ROLE, HI, STOP, LAST_CHUNK],
        [EVENTS_HEAD, ROLE, HI, STOP, USAGE, LAST_CHUNK],
        [EVENTS_HEAD, ROLE, HI, STOP, DONE],
        [UNTIL_EOF, b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'],
    ],
    ids=["no done", "usage, no done", "done, then cut", "until the end"],
)
async def test_complete_enough(pieces: list[bytes]) -> None:
    """With a finish_reason, either `[DONE]` or an orderly end completes a stream."""
    async with backend(pieces, stay=False) as (made, _):
        texts = [chunk.text async for chunk in (await stream_of(made)).chunks]
    assert "".join(texts) == "hi"


async def test_upstream_that_hangs_on_after_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `[DONE]` nobody waits for the connection's end: the reader goes, it is cut in time."""
    monkeypatch.setattr(openai_stream, "_DRAIN_SECONDS", 0.02)
    async with backend([EVENTS_HEAD, ROLE, HI, STOP, DONE]) as (made, upstream):
        stream = await stream_of(made, deadline=time.monotonic() + 600)
        assert "".join([chunk.text async for chunk in stream.chunks]) == "hi"
        await asyncio.wait_for(upstream.visits[0].left.wait(), 10)


async def test_first_output_in_time() -> None:
    """A stream that does not begin in time fails then, not at the deadline."""
    async with backend([EVENTS_HEAD, ROLE]) as (made, upstream):
        with pytest.raises(BackendTimeout):
            await stream_of(
                made, deadline=time.monotonic() + 600, first_output=time.monotonic() + 0.05
            )
        await asyncio.wait_for(upstream.visits[0].left.wait(), 10)


async def test_a_stream_with_no_output_is_let_through_at_last() -> None:
    """What is held back is bounded: a long stream of empty chunks begins in the end."""
    async with backend([EVENTS_HEAD, *[ROLE] * 70, LAST_CHUNK]) as (made, _):
        chunks = (await stream_of(made)).chunks
        seen: list[ChatChunk] = []
        with pytest.raises(BackendGone):
            await read(chunks, seen)
    assert len(seen) == 70


async def test_json_where_a_stream_was_asked_for() -> None:
    """An upstream that ignores `stream` is told apart from one that streams."""
    async with backend(whole(REPLY)) as (made, _):
        with pytest.raises(BackendBroken, match="something else"):
            await stream_of(made)


# ── llama.cpp's streams put together ─────────────────────────────────────────────────────────────


async def test_gathered() -> None:
    """A whole answer from llama.cpp is put together from its stream."""
    async with backend(COMPLETE, dialect="llama") as (made, upstream):
        answer = await made.answer(ask(chat(PLAIN)))
        assert upstream.visits[0].received[0].line == "POST /v1/chat/completions HTTP/1.1"
    assert isinstance(answer.reply, ChatReply)
    assert (answer.reply.text, answer.reply.finish_reason) == ("hi there", "stop")
    assert answer.usage == Usage(input_tokens=3, output_tokens=2)
    assert answer.raw.logprobs == (-0.1,)
    assert bytes(answer.reply.fields["object"]) == b'"chat.completion"'
    assert msgspec.json.decode(answer.reply.fields["choices"]) == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "hi there"},
            "finish_reason": "stop",
        }
    ]


async def test_gathered_logprobs_for_who_asked() -> None:
    """A caller who asked for log-probabilities gets those of all chunks."""
    async with backend(COMPLETE, dialect="llama") as (made, _):
        request = chat(PLAIN[:-1] + ',"logprobs":true}', wants_logprobs=True)
        reply = (await made.answer(ask(request))).reply
    assert isinstance(reply, ChatReply)
    (choice,) = msgspec.json.decode(reply.fields["choices"])
    assert choice["logprobs"] == {"content": [{"logprob": -0.1}]}


async def test_gathered_tool_calls() -> None:
    """Fragments of tool calls become calls, each with its own arguments."""
    fragments = [
        b'{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}',
        b'{"index":0,"function":{"arguments":"{\\"x\\""}}',
        b'{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}',
        b'{"index":0,"function":{"arguments":":1}"}}',
    ]
    pieces = [
        event(b'{"choices":[{"delta":{"content":null,"tool_calls":[%b]}}]}' % fragment)
        for fragment in fragments
    ]
    async with backend([EVENTS_HEAD, *pieces, STOP, DONE, LAST_CHUNK], dialect="llama") as (
        made,
        _,
    ):
        reply = (await made.answer(ask(chat(PLAIN)))).reply
    assert isinstance(reply, ChatReply)
    assert reply.tool_calls
    (choice,) = msgspec.json.decode(reply.fields["choices"])
    assert choice["message"]["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


async def test_gathered_failure_is_before_output() -> None:
    """A stream that nobody has seen can still fall to the next rung when it breaks."""
    async with backend([EVENTS_HEAD, ROLE, HI], dialect="llama", stay=False) as (made, _):
        with pytest.raises(BackendGone) as caught:
            await made.answer(ask(chat(PLAIN)))
    assert not caught.value.after_output
    assert caught.value.target == "small"


async def test_strange_deltas_are_survived() -> None:
    """Deltas of odd shapes neither crash the gathering nor the reader."""
    odd = [
        b'{"tool_calls":null,"content":"a"}',
        b'{"tool_calls":[5,"x",{"index":1000000000,"function":null},{"function":{"name":"f"}}]}',
        b'{"tool_calls":[{"index":"z","function":"y"}],"audio":{"id":"1"}}',
        b'{"audio":{"data":"b"},"role":"assistant"}',
    ]
    pieces = [event(b'{"choices":[{"delta":%b}]}' % delta) for delta in odd]
    pieces.append(event(b'{"choices":null}'))
    async with backend([EVENTS_HEAD, *pieces, STOP, DONE, LAST_CHUNK], dialect="llama") as (
        made,
        _,
    ):
        reply = (await made.answer(ask(chat(PLAIN)))).reply
    assert isinstance(reply, ChatReply)
    assert reply.text == "a"


async def test_reported_error_is_told() -> None:
    """What the upstream reports in the middle of a stream is kept apart, without our secret."""
    error = event(b'{"error":{"message":"out of memory for hunter22hunter22"}}')
    async with backend([EVENTS_HEAD, ROLE, HI, error]) as (made, _):
        chunks = (await stream_of(made)).chunks
        with pytest.raises(BackendBroken, match=r"^the upstream reports an error$") as caught:
            await read(chunks, [])
    assert caught.value.said == "out of memory for ***"


async def test_secret_in_a_chunk_stays_here() -> None:
    """An upstream that writes our credential into its stream does not get it any further."""
    leak = event(b'{"choices":[{"delta":{"content":"you sent hunter22hunter22"}}]}')
    chunks: list[ChatChunk] = []
    async with backend([EVENTS_HEAD, ROLE, leak, STOP, DONE, LAST_CHUNK]) as (made, _):
        await read((await stream_of(made)).chunks, chunks)
    assert "".join(chunk.text for chunk in chunks) == "you sent ***"
    assert b"hunter22" not in msgspec.json.encode([chunk.fields for chunk in chunks])


async def test_counts_that_cannot_be_are_estimated() -> None:
    """A whole answer put together from a stream counts its pieces where the upstream's count lies.

    The count in the answer's body is then none, so that nothing contradicts the ledger.
    """
    lie = event(b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":%d}}' % 10**30)
    async with backend([EVENTS_HEAD, HI, HI, STOP, lie, DONE, LAST_CHUNK], dialect="llama") as (
        made,
        _,
    ):
        answer = await made.answer(ask(chat(PLAIN)))
    assert isinstance(answer.reply, ChatReply)
    assert answer.usage == Usage(output_tokens=2)
    assert "usage" not in answer.reply.fields


async def test_counts_that_cannot_be_are_not_streamed() -> None:
    """The chunk that only held them is left out: without choices, clients could trip over it."""
    lie = event(b'{"choices":[],"usage":{"prompt_tokens":-1,"completion_tokens":1}}')
    async with backend([EVENTS_HEAD, HI, STOP, lie, DONE, LAST_CHUNK]) as (made, _):
        chunks = [chunk async for chunk in (await stream_of(made)).chunks]
    assert [chunk.text for chunk in chunks] == ["hi", ""]
    assert all(chunk.usage is None for chunk in chunks)
