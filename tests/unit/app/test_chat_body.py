"""Chat requests are read fast when they are right, and explained when they are not."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockgate.app.api.chat_body import parse_chat
from lockgate.app.api.chat_faults import fault_of
from lockgate.app.api.problems import InvalidChat

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FINITE = st.recursive(
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    "stream",
    "stream_options",
    "logprobs",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "tools",
    "response_format",
    "whatever",
)
ROLES = ("system", "developer", "user", "assistant", "tool", "function")
PARTS = st.fixed_dictionaries({}, optional={"type": st.just("text") | SCALARS, "text": SCALARS})
MESSAGES = st.fixed_dictionaries(
    {}, optional={"role": st.sampled_from(ROLES) | SCALARS, "content": st.lists(PARTS) | ANYTHING}
)
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "model": st.just("assistant") | SCALARS,
        "messages": st.lists(MESSAGES | ANYTHING, max_size=3) | ANYTHING,
        **dict.fromkeys(FIELDS, ANYTHING),
    },
)


def encoded(value: Any) -> bytes:
    """Write JSON as Python does, infinities and all."""
    return json.dumps(value).encode()


@given(BODIES | ANYTHING)
def test_both_ways_agree_on_what_is_right(value: Any) -> None:
    """What the fast way refuses the slow way can explain, and what it takes has no fault."""
    body = encoded(value)
    fault = fault_of(body)
    if fault is None:
        parse_chat(body)
    else:
        with pytest.raises(InvalidChat) as caught:
            parse_chat(body)
        assert caught.value.message == fault.message


@given(st.binary())
def test_no_bytes_make_it_stumble(body: bytes) -> None:
    """Whatever arrives is either a chat or an `InvalidChat`."""
    with pytest.raises(InvalidChat):
        parse_chat(body)


@given(st.dictionaries(st.text().filter(lambda name: name not in FIELDS), FINITE))
def test_unknown_fields_survive_byte_for_byte(extra: dict[str, Any]) -> None:
    """What Lockgate does not know is kept as it was written."""
    body = {**extra, "model": "a", "messages": [{"role": "user", "content": "x"}]}
    chat = parse_chat(encoded(body)).chat
    for name, value in extra.items():
        if name not in ("model", "messages"):
            assert bytes(chat.fields[name]) == encoded(value)


def test_what_policy_needs_is_read() -> None:
    """Messages, stream, usage and logprobs are understood; nulls are as if left out."""
    body = {
        "model": "assistant",
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url"}]},
            {"role": "assistant", "content": None, "tool_calls": []},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "logprobs": True,
        "temperature": None,
        "n": 1,
    }
    asked = parse_chat(encoded(body))
    chat = asked.chat
    assert asked.model == "assistant"
    assert [message.role for message in chat.messages] == ["system", "user", "assistant"]
    assert (chat.stream, chat.include_usage, chat.wants_logprobs) == (True, True, True)
    assert msgspec.json.decode(chat.fields["messages"]) == body["messages"]
