"""Writes the events of a chat stream: `data: {chat.completion.chunk}`.

`choices` and fields that Lockgate does not know go on as the model gave them; `id`, `created` and
`model` are the same in every chunk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from lockgate.app.api.facts import Facts
from lockgate.core.exchange import Exchange
from lockgate.core.payload import ChatChunk, ChatReply, Json, Usage

CHAT_ID: Final = "chatcmpl-"
"""Goes before a call's id where OpenAI's clients expect an id of theirs."""
DONE: Final = b"data: [DONE]\n\n"
_EMPTY: Final = b"[]"
_encode = msgspec.json.Encoder().encode
_choices = msgspec.json.Decoder(list[dict[str, Json]])


def event(value: Json) -> bytes:
    """Write *value* as one server-sent event."""
    return b"data: " + _encode(value) + b"\n\n"


class Frames:
    """The chunks of one stream."""

    __slots__ = ("_same", "_with_usage")

    def __init__(self, exchange: Exchange, *, with_usage: bool) -> None:
        self._same: dict[str, Json] = {
            "id": CHAT_ID + exchange.call.id,
            "object": "chat.completion.chunk",
            "created": exchange.call.received_at // 1_000_000_000,
            "model": exchange.call.service,
        }
        if with_usage:
            self._same["usage"] = None

    def role(self) -> bytes:
        """Open the answer: who speaks."""
        delta = {"role": "assistant", "content": "", "refusal": None}
        return event({**self._same, "choices": [_choice(delta, None)]})

    def chunk(self, chunk: ChatChunk, facts: Facts | None = None) -> bytes:
        """Write *chunk*; *facts* become its `lockgate` object."""
        fields: dict[str, Json] = dict(chunk.fields)
        fields.pop("usage", None)
        if "choices" not in fields:
            delta = {"content": chunk.text} if chunk.text else {}
            fields["choices"] = [_choice(delta, chunk.finish_reason)]
        fields.update(self._same)
        if facts is not None:
            fields["lockgate"] = facts
        return event(fields)

    def usage(self, usage: Json, facts: Facts) -> bytes:
        """Write the chunk that counts the tokens."""
        return event({**self._same, "choices": [], "usage": usage, "lockgate": facts})


def _choice(delta: dict[str, Json], finish_reason: str | None) -> dict[str, Json]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def names_role(chunk: ChatChunk) -> bool:
    """Say whether *chunk* opens the answer by itself; a second role would be read twice."""
    raw = chunk.fields.get("choices")
    if raw is None:
        return False
    return any((choice.get("delta") or {}).get("role") for choice in _choices.decode(raw))


def only_counts(chunk: ChatChunk) -> bool:
    """Say whether *chunk* carries token counts and nothing else."""
    if chunk.usage is None or chunk.text or chunk.tool_calls or chunk.finish_reason:
        return False
    raw = chunk.fields.get("choices")
    return raw is None or bytes(raw).strip() == _EMPTY


async def pieces_of(reply: ChatReply) -> AsyncIterator[ChatChunk]:
    """Cut a whole answer into the chunks of a stream, for callers who asked for one."""
    if "choices" not in reply.fields:
        yield ChatChunk(text=reply.text)
        yield ChatChunk(finish_reason=reply.finish_reason)
        return
    choices = _choices.decode(reply.fields["choices"])
    others = {name: raw for name, raw in reply.fields.items() if name not in ("choices", "usage")}
    said = [{**choice, "delta": _delta(choice), "finish_reason": None} for choice in choices]
    for choice in said:
        choice.pop("message", None)
    ends = [
        {"index": choice.get("index", 0), "delta": {}, "finish_reason": choice.get("finish_reason")}
        for choice in choices
    ]
    yield ChatChunk(fields=_with(others, said), text=reply.text, tool_calls=reply.tool_calls)
    yield ChatChunk(fields=_with(others, ends), finish_reason=reply.finish_reason)


def _with(others: dict[str, msgspec.Raw], choices: Json) -> dict[str, msgspec.Raw]:
    return {**others, "choices": msgspec.Raw(_encode(choices))}


def _delta(choice: dict[str, Json]) -> dict[str, Json]:
    """Turn a whole message into one delta; tool calls get the index that clients file them by."""
    message: dict[str, Json] = choice.get("message") or {}
    delta = {name: value for name, value in message.items() if name != "role"}
    if delta.get("tool_calls"):
        delta["tool_calls"] = [
            {"index": place, **call} for place, call in enumerate(delta["tool_calls"])
        ]
    return delta


def usage_object(usage: Usage) -> dict[str, int]:
    """Write token counts as OpenAI does."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
