"""The OpenAI SDK, as its users have it, against the front door."""

from __future__ import annotations

from typing import Any

import openai
import pydantic
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam

from lockgate.core.errors import BackendBusy, BackendGone
from lockgate.core.exchange import Answer, Signal
from lockgate.core.payload import ChatChunk, ChatReply, Usage
from lockgate.testing.builders import a_reply
from tests.api.conftest import Open
from tests.api.door import KEY, Door, Plan, raw_chunk, says, streams, upstream_reply

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]


def client(door: Door, key: str = KEY) -> OpenAI:
    """Make a client that does not repeat what failed."""
    return OpenAI(base_url=f"{door.url}/v1", api_key=key, max_retries=0)


def text_chunk(text: str, **more: Any) -> ChatChunk:
    """Make an upstream's chunk of text."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return raw_chunk({"id": "up", "choices": [choice], "model": "secret", **more}, text=text)


ROLE = raw_chunk(
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}], "model": "secret"}
)
STOP = raw_chunk(
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, finish_reason="stop"
)
COUNTS = raw_chunk(
    {
        "choices": [],
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 2,
            "total_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 5},
        },
    },
    usage=Usage(input_tokens=7, output_tokens=2),
)


def test_a_chat_comes_back_as_the_sdk_expects_it(door: Door) -> None:
    """A completion keeps the model's fields, carries the service's name, and tells the facts."""
    with client(door) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model="assistant", messages=HELLO)
    got = raw.parse()
    assert got.choices[0].message.content == "hi"
    assert got.id == f"chatcmpl-{raw.headers['x-request-id']}"
    assert got.model == "assistant"
    assert got.usage is not None
    assert got.usage.total_tokens == 10
    facts = (got.model_extra or {})["lockgate"]
    assert facts["outcome"] == "answered"
    assert facts["cost_usd"] == "0.000000000023"
    assert facts["target"] == "small"
    assert facts["request_id"] == raw.headers["x-request-id"] == got._request_id
    assert raw.headers["x-lockgate-outcome"] == "answered"
    assert raw.headers["x-lockgate-cost-usd"] == "0.000000000023"
    assert "x-lockgate-rung" not in raw.headers
    entry = door.entry()
    assert (entry.id, entry.status, entry.outcome) == (facts["request_id"], 200, "answered")


def test_every_answer_has_the_id_of_its_own_call(open_door: Open) -> None:
    """A cached answer too, which was another call's; streams say the same in every chunk."""
    door = open_door(Plan(bench={"fresh": 60.0}))
    with client(door) as sdk:
        ids = [sdk.chat.completions.create(model="assistant", messages=HELLO).id for _ in "ab"]
        stream = sdk.chat.completions.create(model="assistant", messages=HELLO, stream=True)
        ids += {chunk.id for chunk in stream}
    assert [entry.outcome for entry in door.entries] == ["answered", "cached", "answered"]
    assert ids == [f"chatcmpl-{entry.id}" for entry in door.entries]


def test_fields_nobody_knows_survive_both_ways(open_door: Open) -> None:
    """What Lockgate has never heard of reaches the model, and the caller, as it was."""
    model = says(upstream_reply(service_tier="flex", novelty={"a": [1, None]}))
    door = open_door(Plan(chat=model))
    with client(door) as sdk:
        got = sdk.chat.completions.create(
            model="assistant", messages=HELLO, extra_body={"top_k": 7, "odd": {"x": None}}
        )
    assert got.service_tier == "flex"
    assert (got.model_extra or {})["novelty"] == {"a": [1, None]}
    fields = model.asked[0].request.fields  # type: ignore[union-attr]
    assert bytes(fields["top_k"]) == b"7"
    assert bytes(fields["odd"]).replace(b" ", b"") == b'{"x":null}'


def test_confidence_and_rung_are_told(open_door: Open) -> None:
    """An answer of the ladder says so, in headers and body, and is a whole completion."""
    door = open_door(Plan(chat=says(BackendGone("no")), bench={"ladder": ("uncertain",)}))
    with client(door) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model="assistant", messages=HELLO)
    got = raw.parse()
    assert raw.headers["x-lockgate-outcome"] == "uncertain"
    assert raw.headers["x-lockgate-rung"] == "uncertain"
    assert got.choices[0].message.content == "I am not certain."
    assert got.object == "chat.completion"
    assert got.usage is not None


def test_confidence_has_four_decimals_in_the_header(open_door: Open) -> None:
    """Where confidence is known, header and body tell it."""
    door = open_door(
        Plan(chat=says(a_reply(logprobs=(-0.1, -0.2))), bench={"signal": Signal.LOGPROB})
    )
    with client(door) as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model="assistant", messages=HELLO)
    assert raw.headers["x-lockgate-confidence"] == "0.8607"
    assert (raw.parse().model_extra or {})["lockgate"]["confidence"] == pytest.approx(0.860708)


def test_a_wrong_key_raises_authentication_error(door: Door) -> None:
    """The SDK sees what OpenAI would answer to a wrong key."""
    with client(door, "wrong") as sdk, pytest.raises(openai.AuthenticationError) as caught:
        sdk.chat.completions.create(model="assistant", messages=HELLO)
    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id
    assert door.entries == []
    assert door.away == ["invalid_api_key"]


def test_an_unknown_model_raises_not_found_error(door: Door) -> None:
    """The SDK sees what OpenAI would answer to an unknown model, word for word."""
    with client(door) as sdk, pytest.raises(openai.NotFoundError) as caught:
        sdk.chat.completions.create(model="gpt-9", messages=HELLO)
    assert caught.value.code == "model_not_found"
    assert caught.value.body == {
        "message": "The model `gpt-9` does not exist or you do not have access to it.",
        "type": "invalid_request_error",
        "param": None,
        "code": "model_not_found",
    }


def test_empty_messages_raise_bad_request_error(door: Door) -> None:
    """The SDK sees what OpenAI would answer to an empty message list, word for word."""
    with client(door) as sdk, pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(model="assistant", messages=[])
    assert caught.value.body == {
        "message": "Invalid 'messages': empty array. Expected an array with minimum length 1, but"
        " got an empty array instead.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "empty_array",
    }


def test_a_key_for_other_services_raises_permission_denied(door: Door) -> None:
    """A key that may not use a service is told so, and the refusal is recorded."""
    with client(door, "lg-narrow-key") as sdk, pytest.raises(openai.PermissionDeniedError) as e:
        sdk.chat.completions.create(model="assistant", messages=HELLO)
    assert e.value.code == "permission_denied"
    assert door.entry().code == "permission_denied"
    assert door.entry().outcome == "rejected"


@pytest.mark.parametrize(
    ("error", "status", "code", "retry"),
    [
        (BackendGone("x", target="small"), 502, "upstream_gone", None),
        (BackendBusy("x", target="small"), 503, "upstream_busy", None),
    ],
)
def test_a_model_that_fails_raises_a_server_error(
    open_door: Open, error: Exception, status: int, code: str, retry: str | None
) -> None:
    """When all else failed the SDK sees a server error that names the model, not its words."""
    door = open_door(Plan(chat=says(error)))
    with client(door) as sdk, pytest.raises(openai.InternalServerError) as caught:
        sdk.chat.completions.create(model="assistant", messages=HELLO)
    assert (caught.value.status_code, caught.value.code) == (status, code)
    assert "model 'small'" in caught.value.message
    assert caught.value.response.headers.get("x-should-retry") == retry
    assert caught.value.response.headers["x-lockgate-outcome"] == "failed"
    assert door.entry().status == status


def test_models_are_listed_and_described(door: Door) -> None:
    """The SDK lists the chat services that the key may use, and finds one by name."""
    with client(door) as sdk:
        assert [model.id for model in sdk.models.list()] == ["assistant"]
        assert sdk.models.retrieve("assistant").created == 1_700_000_000
        with pytest.raises(openai.NotFoundError):
            sdk.models.retrieve("router")
    with client(door, "lg-narrow-key") as sdk:
        assert list(sdk.models.list()) == []


def test_a_stream_with_usage_is_what_the_sdk_expects(open_door: Open) -> None:
    """Role, text, end, usage: each where OpenAI has it, with one id, time and model."""
    model = streams(
        ROLE, text_chunk("he"), text_chunk("llo", system_fingerprint="f1"), STOP, COUNTS
    )
    door = open_door(Plan(chat=model))
    with client(door) as sdk:
        chunks = list(
            sdk.chat.completions.create(
                model="assistant",
                messages=HELLO,
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "hello"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks[:-1])
    last = chunks[-1]
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (7, 2)
    assert last.usage.prompt_tokens_details is not None
    assert last.usage.prompt_tokens_details.cached_tokens == 5
    assert {(c.id, c.created, c.model) for c in chunks} == {(last.id, last.created, "assistant")}
    assert chunks[2].system_fingerprint == "f1"
    facts = (last.model_extra or {})["lockgate"]
    assert (facts["outcome"], facts["cost_usd"]) == ("answered", "0.00000000002")
    assert [("lockgate" in (c.model_extra or {})) for c in chunks].count(True) == 1
    assert door.entry().ended == "complete"


def test_a_stream_without_usage_has_no_trace_of_it(open_door: Open) -> None:
    """Who did not ask for usage gets no usage chunk and no usage field; the facts are last."""
    door = open_door(Plan(chat=streams(ROLE, text_chunk("hello"), STOP, COUNTS)))
    got = door.chat({"model": "assistant", "messages": HELLO, "stream": True})
    assert b'"usage"' not in got.body
    frames = got.body.split(b"\n\n")
    assert frames[-2:] == [b"data: [DONE]", b""]
    assert b'"lockgate"' in frames[-3]
    assert b'"finish_reason":"stop"' in frames[-3]
    assert b"secret" not in got.body
    assert "x-lockgate-cost-usd" not in got.headers
    assert got.headers["content-type"] == "text/event-stream; charset=utf-8"


def test_the_sdks_accumulator_reads_one_role_and_whole_tool_calls(open_door: Open) -> None:
    """The SDK's own stream helper puts tool calls together, and the role is there once."""
    name = {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}
    parts = [
        {"role": "assistant", "content": None, "tool_calls": [name]},
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
    ]
    chunks = [
        raw_chunk({"choices": [{"index": 0, "delta": part}]}, tool_calls=True) for part in parts
    ]
    end = raw_chunk(
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        finish_reason="tool_calls",
    )
    door = open_door(Plan(chat=streams(*chunks, end)))
    with (
        client(door) as sdk,
        sdk.chat.completions.stream(model="assistant", messages=HELLO) as stream,
    ):
        message = stream.get_final_completion().choices[0].message
    assert message.role == "assistant"
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.arguments == '{"a":1}'


def test_a_whole_answer_is_streamed_to_who_asked_for_a_stream(open_door: Open) -> None:
    """A cached or honest answer arrives as a stream like any other, tool calls included."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    answer = upstream_reply(
        "", choices=[{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    )
    door = open_door(Plan(chat=says(answer)))
    with (
        client(door) as sdk,
        sdk.chat.completions.stream(
            model="assistant", messages=HELLO, stream_options={"include_usage": True}
        ) as stream,
    ):
        got = stream.get_final_completion()
    assert got.choices[0].finish_reason == "tool_calls"
    assert got.choices[0].message.role == "assistant"
    assert got.choices[0].message.tool_calls is not None
    assert got.choices[0].message.tool_calls[0].function.name == "f"
    assert got.usage is not None
    assert got.usage.total_tokens == 10


def test_an_answer_may_be_empty(open_door: Open) -> None:
    """A `stop` that is met at once leaves nothing to say: no error, and nothing to be repeated."""
    door = open_door(Plan(chat=streams(ROLE, STOP)))
    with client(door) as sdk:
        chunks = list(
            sdk.chat.completions.create(model="assistant", messages=HELLO, stop="a", stream=True)
        )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == ""
    assert chunks[-1].choices[0].finish_reason == "stop"
    door = open_door(Plan(chat=says(upstream_reply(""))))
    with client(door) as sdk:
        got = sdk.chat.completions.create(model="assistant", messages=HELLO, stop=["a"])
    assert (got.choices[0].message.content, got.choices[0].finish_reason) == ("", "stop")


def test_words_of_lockgates_own_are_streamed_too(open_door: Open) -> None:
    """An honest `uncertain` reaches a streaming caller as text."""
    door = open_door(Plan(chat=says(BackendGone("no")), bench={"ladder": ("uncertain",)}))
    with client(door) as sdk:
        chunks = list(sdk.chat.completions.create(model="assistant", messages=HELLO, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "I am not certain."
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_a_stream_that_breaks_raises_in_the_sdk(open_door: Open) -> None:
    """A cut answer can never be taken for a whole one."""
    broken = BackendGone("cut", target="small", after_output=True)
    door = open_door(Plan(chat=streams(ROLE, text_chunk("hel"), broken)))
    seen: list[str] = []
    with client(door) as sdk:
        stream = sdk.chat.completions.create(model="assistant", messages=HELLO, stream=True)
        with pytest.raises(openai.APIError) as caught:
            seen.extend(chunk.choices[0].delta.content or "" for chunk in stream)
    assert "".join(seen) == "hel"
    assert caught.value.code == "upstream_gone"
    entry = door.entry()
    assert (entry.ended, entry.outcome, entry.code) == ("broken", "failed", "upstream_gone")


def test_a_stream_that_breaks_before_its_first_word_is_a_status(open_door: Open) -> None:
    """Until something was sent, a broken stream is an ordinary error."""
    door = open_door(Plan(chat=streams(BackendGone("cut", target="small"))))
    with client(door) as sdk, pytest.raises(openai.InternalServerError) as caught:
        list(sdk.chat.completions.create(model="assistant", messages=HELLO, stream=True))
    assert caught.value.code == "upstream_gone"
    assert len(door.entries) == 1
    assert door.entry().status == 502


def test_json_schema_output_parses(open_door: Open) -> None:
    """Structured output reaches the SDK's parser as the model wrote it."""

    class Team(pydantic.BaseModel):
        team: str

    door = open_door(Plan(chat=says(upstream_reply('{"team": "billing"}'))))
    with client(door) as sdk:
        got = sdk.chat.completions.parse(model="assistant", messages=HELLO, response_format=Team)
    assert got.choices[0].message.parsed == Team(team="billing")


def test_an_answer_with_refusal_fields_is_untouched(open_door: Open) -> None:
    """A reply that Lockgate wrote has every field that clients read."""
    door = open_door(Plan(chat=says(Answer(reply=ChatReply(text="own"), target="small"))))
    with client(door) as sdk:
        got = sdk.chat.completions.create(model="assistant", messages=HELLO)
    assert got.choices[0].message.refusal is None
    assert got.id.startswith("chatcmpl-")
