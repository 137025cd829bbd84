"""What callers send and what models give back, in the three shapes Lockgate speaks.

A chat keeps its top-level JSON fields as raw bytes: what policy does not need is never parsed,
and what Lockgate does not know survives the journey.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

Json = Any
"""A decoded JSON value: None, bool, int, float, str, list or dict."""


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message of a chat: who speaks, and text or parts (OpenAI's format)."""

    role: str
    content: str | list[dict[str, Json]] | None = None


class Chat(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A chat request.

    Attributes:
        fields: Every top-level field of the body as raw JSON, `model` and `messages` included.
        body: The whole body as it came; empty once a guard has changed it.
        messages: The same messages, parsed as far as guards and prompts need.
        stream: The caller wants server-sent events.
        include_usage: The caller wants the usage chunk at the end of a stream.
        wants_logprobs: The caller asked for log-probabilities.
    """

    fields: dict[str, msgspec.Raw]
    messages: tuple[Message, ...]
    body: bytes = b""
    stream: bool = False
    include_usage: bool = False
    wants_logprobs: bool = False


class Rows(msgspec.Struct, frozen=True, kw_only=True):
    """A plain JSON predict request: one input, of the form the service's contract gives."""

    input: Json


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """A named tensor of the Open Inference Protocol, V2.

    Attributes:
        datatype: `FP64`, `INT64`, `BYTES` …, as the protocol names them.
        shape: Sizes, outermost first.
        data: Row-major elements as a flat list, or little-endian raw bytes (binary extension).
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[Json] | bytes


class Tensors(msgspec.Struct, frozen=True, kw_only=True):
    """An Open Inference request: tensors in, and names of the outputs wanted (all if none)."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...] = ()


Request = Chat | Rows | Tensors


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Tokens read and written, as the model reports them; zero where tokens mean nothing."""

    input_tokens: int = 0
    output_tokens: int = 0


class ChatReply(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A whole chat completion.

    Attributes:
        fields: Every top-level field of the upstream body as raw JSON; empty when Lockgate
            wrote the answer itself.
        text: The assistant's text of the first choice (empty for pure tool calls).
        tool_calls: The first choice calls tools, so its text is not the whole answer.
        finish_reason: Why generation ended, in OpenAI's words.
    """

    fields: dict[str, msgspec.Raw] = {}
    text: str
    tool_calls: bool = False
    finish_reason: str = "stop"


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One event of a chat stream.

    Attributes:
        fields: Top-level fields of the upstream chunk as raw JSON; empty if Lockgate wrote it.
        text: Text added by the first choice.
        tool_calls: The delta carries tool-call fragments.
        finish_reason: Set on the chunk that ends the choice.
        usage: Set on the chunk that carries the token counts.
        logprobs: Natural-log probabilities of the tokens in this chunk, if the model gave them.
    """

    fields: dict[str, msgspec.Raw] = {}
    text: str = ""
    tool_calls: bool = False
    finish_reason: str | None = None
    usage: Usage | None = None
    logprobs: tuple[float, ...] = ()


class ChatStream:
    """A chat that is still being written.

    The iterator ends normally only if the upstream said that the answer is complete; otherwise
    it raises a `BackendError`. `aclose` aborts the upstream request.
    """

    __slots__ = ("chunks",)

    def __init__(self, chunks: AsyncIterator[ChatChunk]) -> None:
        self.chunks = chunks

    async def aclose(self) -> None:
        """Stop the stream, also one that nobody has read from yet."""
        close = getattr(self.chunks, "aclose", None)
        if close is not None:
            await close()


class RowsReply(msgspec.Struct, frozen=True, kw_only=True):
    """A plain JSON answer."""

    output: Json


class TensorsReply(msgspec.Struct, frozen=True, kw_only=True):
    """An Open Inference answer."""

    outputs: tuple[Tensor, ...]


Reply = ChatReply | ChatStream | RowsReply | TensorsReply
