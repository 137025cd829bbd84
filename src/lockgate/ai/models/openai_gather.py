"""Puts the chunks of a completion together again, for callers who want it whole.

llama.cpp notices that a caller has left only while it streams: a whole answer that nobody waits
for any more would be written to its end (ggml-org/llama.cpp#9273). So it is always asked to stream.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from lockgate.ai.models.openai_reply import Whole
from lockgate.ai.models.openai_stream import CompletionStream
from lockgate.ai.models.wire import MAX_BODY
from lockgate.core.errors import BackendBroken, BackendError
from lockgate.core.payload import ChatChunk, ChatReply, Usage

_GROWING = frozenset({"content", "refusal", "reasoning_content", "reasoning", "arguments"})
"""Fields of a delta that are sent in pieces; of all others the last one counts."""
_INSTEAD = ("tool_calls", "function_call", "refusal")
"""What a message without text says in its place."""

_NONE = Raw(b"[]")
_encode = msgspec.json.Encoder().encode


class _Gathered:
    """What a stream has come to so far."""

    def __init__(self) -> None:
        self.fields: dict[str, Raw] = {}
        self.choices: dict[int, dict[str, Any]] = {}
        self.logprobs: list[float] = []
        self.text: list[str] = []
        self.finish = ""
        self.usage: Usage | None = None
        self.pieces = 0
        self.tool_calls = False
        self._size = 0

    def add(self, chunk: ChatChunk) -> None:
        """Take in the next chunk."""
        choices = chunk.fields.get("choices", _NONE)
        self._size += len(bytes(choices))
        if self._size > MAX_BODY:
            raise BackendBroken(f"the upstream's answer has more than {MAX_BODY} bytes")
        _grow(self.choices, choices)
        self.fields.update(chunk.fields)
        self.logprobs += chunk.logprobs
        self.text.append(chunk.text)
        self.pieces += bool(chunk.text or chunk.tool_calls)
        self.finish = chunk.finish_reason or self.finish
        self.usage = chunk.usage or self.usage
        self.tool_calls = self.tool_calls or chunk.tool_calls

    def whole(self) -> Whole:
        """Give the completion."""
        choices = [self.choices[index] for index in sorted(self.choices)]
        for choice in choices:
            _finish(choice["message"])
        reply = ChatReply(
            fields={
                **self.fields,
                "object": Raw(b'"chat.completion"'),
                "choices": Raw(_encode(choices)),
            },
            text="".join(self.text),
            tool_calls=self.tool_calls,
            finish_reason=self.finish,
        )
        usage = self.usage or Usage(output_tokens=self.pieces)  # one piece is about one token
        return Whole(reply, usage, tuple(self.logprobs))


async def gather(stream: CompletionStream) -> Whole:
    """Read *stream* to its end and give what it said as one completion.

    Raises:
        BackendError: It did not complete.
    """
    gathered = _Gathered()
    try:
        async for chunk in stream:
            gathered.add(chunk)
    except BackendError as error:
        error.after_output = False  # nobody has seen any of it
        raise
    finally:
        await stream.aclose()
    return gathered.whole()


def _finish(message: dict[str, Any]) -> None:
    """Give *message* the form of one that was not streamed."""
    for call in message.get("tool_calls") or ():
        del call["index"]  # it only tells the fragments apart
    if message.get("content") is None and not any(message.get(name) for name in _INSTEAD):
        message["content"] = ""


def _grow(choices: dict[int, dict[str, Any]], raw: Raw) -> None:
    for piece in msgspec.json.decode(raw, type=list[dict[str, Any]] | None) or ():
        index = piece.get("index", 0)
        choice = choices.setdefault(index, {"index": index, "message": {}, "finish_reason": None})
        _merge(choice["message"], piece.get("delta") or {})
        if piece.get("finish_reason"):
            choice["finish_reason"] = piece["finish_reason"]
        tokens = (piece.get("logprobs") or {}).get("content")
        if tokens:
            choice.setdefault("logprobs", {"content": []})["content"] += tokens


def _merge(whole: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        before = whole.get(name)
        if value is None and before is not None:
            continue
        if name == "tool_calls" and isinstance(value, list):
            whole[name] = _merged_calls(before or [], value)
        elif isinstance(value, dict) and isinstance(before, dict):
            _merge(before, value)
        elif name in _GROWING and isinstance(value, str) and isinstance(before, str):
            whole[name] = before + value
        else:
            whole[name] = value


def _merged_calls(calls: list[dict[str, Any]], deltas: list[Any]) -> list[dict[str, Any]]:
    """Add fragments of tool calls to the call of the same index; a whole call may have none."""
    for delta in filter(_is_object, deltas):
        index = delta.get("index", len(calls))
        call = next((call for call in calls if call["index"] == index), None)
        if call is None:
            calls.append(call := {"index": index})
        _merge(call, delta)
    return calls


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)
