"""What is sent to an upstream that speaks OpenAI's protocol.

The caller's fields travel as the bytes they came in; only what Lockgate decides is replaced.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Raw

from lockgate.core.exchange import Signal
from lockgate.core.payload import Chat, Json, Rows
from lockgate.core.ports import Ask

Dialect = Literal["openai", "llama"]
"""`llama`: llama.cpp's server, which has a health check, sampling options and fields of its own."""

ROWS_TOKENS = 1024
"""Most tokens of a prediction by llama.cpp: under a JSON grammar a small model can write blanks
until its context is full. Other upstreams name this limit differently from model to model."""
LLAMA_TAKES = frozenset(
    {
        *("messages", "max_tokens", "max_completion_tokens", "stop", "seed", "user", "n"),
        *("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty"),
        *("logit_bias", "logprobs", "top_logprobs", "response_format", "stream", "stream_options"),
        *("tools", "tool_choice", "parallel_tool_calls"),
    }
)
"""What callers may say to llama.cpp. It has parameters of its own that would lift `max_tokens`,
choose a slot, or write into its log: those stay outside."""
_TRUE, _FALSE = Raw(b"true"), Raw(b"false")
_ALONE = {"cache_prompt": _FALSE}
"""A prompt that another caller sent before must not show, neither in counts nor in time."""
_USAGE = Raw(b'{"include_usage":true}')
_NEUTRAL = {"temperature": 1, "top_k": 0, "top_p": 1, "min_p": 0}
"""Sampling that leaves llama.cpp's probabilities as the model gave them."""

_encode = msgspec.json.Encoder().encode


def chat_body(ask: Ask, chat: Chat, model: str, dialect: Dialect) -> bytes:
    """Write the request for a chat: the caller's fields under the service's terms.

    llama.cpp is always asked to stream, see `openai_gather`.
    """
    fields: dict[str, Any] = {**chat.fields, "model": model}
    if dialect == "llama":
        fields = {name: raw for name, raw in chat.fields.items() if name in LLAMA_TAKES}
        fields |= _ALONE
    if ask.instructions:
        fields["messages"] = Raw(_prepend(ask.instructions, bytes(chat.fields["messages"])))
    if ask.output_schema is not None and "response_format" not in fields:
        fields["response_format"] = response_format(ask.output_schema)
    if chat.stream or dialect == "llama":
        fields["stream"] = _TRUE
        fields["stream_options"] = _with_usage(fields.get("stream_options"))
    if ask.signal is Signal.LOGPROB and not chat.wants_logprobs:
        _ask_logprobs(fields, dialect)
    return _encode(fields)


def rows_body(ask: Ask, rows: Rows, model: str, dialect: Dialect) -> bytes:
    """Write the request for a prediction: the service's prompt used as a function."""
    messages = [{"role": "user", "content": as_text(rows.input)}]
    if ask.instructions:
        messages.insert(0, {"role": "system", "content": ask.instructions})
    fields: dict[str, Any] = {"model": model, "messages": messages}
    if ask.output_schema is not None:
        fields["response_format"] = response_format(ask.output_schema)
    if ask.signal is Signal.LOGPROB:
        _ask_logprobs(fields, dialect)
    if dialect == "llama":
        fields = {"temperature": 0, "seed": 0, "max_tokens": ROWS_TOKENS, **fields}
        fields |= {"stream": _TRUE, "stream_options": _USAGE} | _ALONE
    return _encode(fields)


def as_text(value: Json) -> str:
    """Say an input in words: a text as it is, alone or as an object's only field; else JSON."""
    if isinstance(value, dict) and len(value) == 1:
        (only,) = value.values()
        if isinstance(only, str):
            return only
    return value if isinstance(value, str) else _encode(value).decode()


def response_format(schema: Raw) -> dict[str, Json]:
    """Ask for JSON that matches *schema*, strictly where OpenAI's rules for that are met."""
    strict = _is_strict(msgspec.json.decode(schema))
    return {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema, "strict": strict},
    }


def _is_strict(schema: Json) -> bool:
    """Say whether every object is closed and requires all of its properties.

    OpenAI refuses any other schema when asked to be strict.
    """
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict):
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required") or ()) != set(properties):
            return False
    elif schema.get("type") == "object":
        return False
    return all(map(_is_strict, schema.values()))


def _ask_logprobs(fields: dict[str, Any], dialect: Dialect) -> None:
    """Ask for the probability of each token.

    Under a JSON grammar, llama.cpp's `logprobs` are those of the model without the grammar, so
    that even a forced brace looks unlikely; those after sampling know the grammar but also the
    temperature: at 0 each is 1, whatever the model thinks. Hence both are asked for only where
    the temperature is ours to choose; the plain ones err towards doubt.
    """
    fields["logprobs"] = _TRUE
    if dialect == "llama" and "response_format" in fields and "temperature" not in fields:
        fields["post_sampling_probs"] = _TRUE
        for option, neutral in _NEUTRAL.items():
            fields.setdefault(option, neutral)


def _prepend(instructions: str, messages: bytes) -> bytes:
    """Put a system message before the array *messages* without touching what is in it."""
    system = _encode({"role": "system", "content": instructions})
    rest = messages.strip()[1:].lstrip()
    return b"[" + system + (b"" if rest.startswith(b"]") else b",") + rest


def _with_usage(options: Raw | None) -> Raw | dict[str, Any]:
    if options is None:
        return _USAGE
    given = msgspec.json.decode(options, type=dict[str, Raw] | None)
    return {**(given or {}), "include_usage": True}
