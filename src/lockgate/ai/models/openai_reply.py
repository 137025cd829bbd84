"""What comes back from an upstream that speaks OpenAI's protocol.

Only what Lockgate needs is parsed; everything else goes on as the bytes it came in. Upstreams are
not trusted to keep to the protocol: what does not fit is a `BackendError`, never a surprise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import msgspec
from msgspec import Raw

from lockgate.ai.models.openai_ask import Dialect
from lockgate.ai.models.openai_failure import failure_inside
from lockgate.core.errors import BackendBroken
from lockgate.core.payload import ChatChunk, ChatReply, Usage

_MOST_TOKENS = 10_000_000
"""Tokens of a call that can be believed: more than any model takes or gives."""
_LLAMA_OWN = ("system_fingerprint", "timings", "__verbose")
_LEAST = 1e-12  # a probability of zero has no logarithm


class _Token(msgspec.Struct, gc=False):
    logprob: float | None = None
    prob: float | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Part(msgspec.Struct, gc=False):
    text: str | None = None


class _Said(msgspec.Struct):
    """A message or a delta."""

    content: str | list[_Part] | None = None
    tool_calls: list[Raw] | None = None
    function_call: Any = None  # msgspec: `Raw | None` would only take null
    refusal: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None


class _Counts(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Body(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: _Counts | None = None
    error: Any = None


class Whole(msgspec.Struct, frozen=True):
    """A whole completion: the reply, and what it says about itself."""

    reply: ChatReply
    usage: Usage
    logprobs: tuple[float, ...]


class Piece(msgspec.Struct, frozen=True):
    """A chunk of a stream, and whether it is the first sign of an answer if it comes first.

    A role alone is not: the upstream has said nothing yet that could not be taken back. A chunk
    that held only counts that cannot be is void.
    """

    chunk: ChatChunk
    speaks: bool
    thinks: bool
    void: bool = False


_body = msgspec.json.Decoder(_Body)
_fields = msgspec.json.Decoder(dict[str, Raw])
_choices = msgspec.json.Decoder(list[dict[str, Raw]])
_encode = msgspec.json.Encoder().encode


def read_whole(body: bytes, dialect: Dialect, *, keep_logprobs: bool) -> Whole:
    """Read a completion that was not streamed.

    Raises:
        BackendBroken: It is not one, it is an error, it says neither anything nor why it ended,
            or it counts tokens that cannot be. An end at once is an answer: a `stop` may be met
            by the first token.
        InputRejected: It is an error, for which it blames the input.
    """
    parsed = _parse(body)
    first = _first(parsed)
    if first is None or first.message is None:
        raise BackendBroken("the upstream's answer has no choices")
    said = first.message
    text, tool_calls = _text(said), _calls_tools(said)
    finish = first.finish_reason or "stop"
    if first.finish_reason is None and not (text or tool_calls or said.refusal):
        raise BackendBroken("the upstream's answer says nothing, not even why it ended")
    usage = _usage(parsed.usage)
    if usage is None and parsed.usage is not None:
        raise BackendBroken("the upstream's answer has an implausible usage")
    fields = _kept(body, parsed, dialect, keep_logprobs=keep_logprobs)
    reply = ChatReply(fields=fields, text=text, tool_calls=tool_calls, finish_reason=finish)
    return Whole(reply, usage or Usage(), _logs(first.logprobs))


def read_chunk(body: bytes, dialect: Dialect, *, keep_logprobs: bool) -> Piece:
    """Read one event of a stream.

    Raises:
        BackendBroken: It is not a chunk, or an error.
        InputRejected: It is an error, for which it blames the input.
    """
    parsed = _parse(body)
    fields = _kept(body, parsed, dialect, keep_logprobs=keep_logprobs)
    usage = _usage(parsed.usage)
    if usage is None:  # a count that cannot be is as good as none: it is not passed on either
        fields.pop("usage", None)
    first = _first(parsed)
    if first is None:
        void = usage is None and parsed.usage is not None
        return Piece(ChatChunk(fields=fields, usage=usage), speaks=False, thinks=False, void=void)
    said = first.delta or _Said()
    chunk = ChatChunk(
        fields=fields,
        text=_text(said),
        tool_calls=_calls_tools(said),
        finish_reason=first.finish_reason,
        usage=usage,
        logprobs=_logs(first.logprobs),
    )
    speaks = bool(chunk.text or chunk.tool_calls or said.refusal)
    thinks = bool(said.reasoning_content or said.reasoning)
    return Piece(chunk, speaks=speaks, thinks=thinks)


def _parse(body: bytes) -> _Body:
    try:
        parsed = _body.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BackendBroken(f"the upstream's answer is not a completion: {error}") from error
    if parsed.error is not None:
        raise failure_inside(body)
    return parsed


def _first(parsed: _Body) -> _Choice | None:
    """Find the choice that counts; with `n` above 1 its chunks come in any order."""
    for choice in parsed.choices or ():
        if choice.index == 0:
            return choice
    return None


def _kept(body: bytes, parsed: _Body, dialect: Dialect, *, keep_logprobs: bool) -> dict[str, Raw]:
    """Give the top-level fields that the caller may see."""
    fields = _fields.decode(body)
    if dialect == "llama":
        for own in _LLAMA_OWN:
            fields.pop(own, None)
    if not keep_logprobs and _has_logprobs(parsed.choices or ()):
        choices = _choices.decode(fields["choices"])
        for choice in choices:
            choice.pop("logprobs", None)
        fields["choices"] = Raw(_encode(choices))
    return fields


def _has_logprobs(choices: Sequence[_Choice]) -> bool:
    for choice in choices:  # noqa: SIM110 — a generator costs more than the choices
        if choice.logprobs is not None:
            return True
    return False


def _text(said: _Said) -> str:
    content = said.content
    if isinstance(content, list):
        return "".join(part.text or "" for part in content)
    return content or ""


def _calls_tools(said: _Said) -> bool:
    return bool(said.tool_calls or said.function_call)


def _usage(counts: _Counts | None) -> Usage | None:
    """Give what was counted, None if nothing was or if it cannot be."""
    if counts is None:
        return None
    given, made = counts.prompt_tokens or 0, counts.completion_tokens or 0
    total = counts.total_tokens or 0
    if min(given, made, total) < 0 or max(given, made, total) > _MOST_TOKENS:
        return None
    return Usage(input_tokens=given, output_tokens=made)


def _logs(logprobs: _Logprobs | None) -> tuple[float, ...]:
    """Give natural logarithms, whether the upstream gave these or plain probabilities."""
    if logprobs is None:
        return ()
    given = [token.logprob for token in logprobs.content or ()]
    if None not in given:
        return tuple(cast("list[float]", given))
    return tuple(
        token.logprob if token.logprob is not None else math.log(max(token.prob or 0.0, _LEAST))
        for token in logprobs.content or ()
    )
