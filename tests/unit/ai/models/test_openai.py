"""What is asked of, and made of, an upstream that speaks OpenAI's protocol."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from lockgate.ai.models.openai_ask import Dialect, as_text, chat_body, response_format, rows_body
from lockgate.ai.models.openai_reply import read_chunk, read_whole
from lockgate.core.errors import BackendBroken, BackendError
from lockgate.core.exchange import Signal
from lockgate.core.payload import (
    Chat,
    Json,
    Message,
    Rows,
    Usage,
)
from lockgate.core.ports import Ask
from tests.unit.ai.models.openai_bench import (
    PLAIN,
    REPLY,
    SCHEMA,
    STREAM,
    ask,
    chat,
)


def sent(body: str = PLAIN, dialect: Dialect = "openai", **terms: Any) -> dict[str, Json]:
    """Give the body that a chat becomes."""
    request = chat(body, wants_logprobs='"logprobs":true' in body)
    return msgspec.json.decode(chat_body(ask(request, **terms), request, "up", dialect))


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────


def test_chat_passes_byte_for_byte() -> None:
    """What Lockgate does not decide goes on as the bytes it came in, whatever it is."""
    body = (
        '{"model": "a", "messages": [ {"role":"user", "x":1.50, "content":"\\u00e4 ä"} ],'
        ' "future": {"deep": [1.0, 1e3, null]}, "temperature": 0.20}'
    )
    request = chat(body)
    raw = chat_body(ask(request), request, "up", "openai").decode()
    assert '[ {"role":"user", "x":1.50, "content":"\\u00e4 ä"} ]' in raw
    assert '"future":{"deep": [1.0, 1e3, null]}' in raw
    assert '"temperature":0.20' in raw
    assert '"model":"up"' in raw
    assert '"a"' not in raw


@pytest.mark.parametrize("messages", ["[]", "[ ]", ' [{"role":"user"}] ', '\n[\n{"a":1},\n{}]'])
def test_instructions_go_first(messages: str) -> None:
    """The service's prompt is spliced in before the caller's messages, which stay as they are."""
    got = sent(f'{{"model":"a","messages":{messages}}}', instructions='Be "brief".\n')
    assert got["messages"][0] == {"role": "system", "content": 'Be "brief".\n'}
    assert got["messages"][1:] == msgspec.json.decode(messages)


def test_stream_always_asks_for_usage() -> None:
    """Streams are metered, also when the caller did not ask; its other options survive."""
    assert sent(STREAM)["stream_options"] == {"include_usage": True}
    for options in ('{"include_usage":false,"include_obfuscation":false}', "null"):
        body = STREAM[:-1] + f',"stream_options":{options}}}'
        expected = {**(msgspec.json.decode(options) or {}), "include_usage": True}
        assert sent(body)["stream_options"] == expected


def test_whole_answers_are_not_streamed() -> None:
    """A caller who wants the answer whole gets it asked for whole, but for llama.cpp."""
    assert "stream" not in sent()
    assert sent(dialect="llama")["stream"] is True


def test_logprobs_are_asked_for_when_judged() -> None:
    """The judge's signal is asked for only when it is wanted."""
    assert "logprobs" not in sent()
    assert sent(signal=Signal.LOGPROB)["logprobs"] is True
    assert sent(PLAIN[:-1] + ',"logprobs":true}', signal=Signal.LOGPROB)["logprobs"] is True


def test_llama_under_a_grammar_is_asked_for_honest_doubt() -> None:
    """Probabilities after sampling are asked for only where the temperature leaves them true."""
    constrained = sent(dialect="llama", signal=Signal.LOGPROB, output_schema=SCHEMA)
    assert constrained["post_sampling_probs"] is True
    assert (constrained["temperature"], constrained["top_p"], constrained["top_k"]) == (1, 1, 0)
    cold = PLAIN[:-1] + ',"temperature":0}'
    for got in (
        sent(dialect="llama", signal=Signal.LOGPROB),
        sent(cold, dialect="llama", signal=Signal.LOGPROB, output_schema=SCHEMA),
        sent(signal=Signal.LOGPROB, output_schema=SCHEMA),
    ):
        assert got["logprobs"] is True
        assert "post_sampling_probs" not in got


def test_schema_becomes_response_format_unless_the_caller_has_one() -> None:
    """The service's output contract constrains the model; a caller's own format wins."""
    got = sent(output_schema=SCHEMA)["response_format"]
    assert got["json_schema"]["schema"] == msgspec.json.decode(SCHEMA)
    own = PLAIN[:-1] + ',"response_format":{"type":"text"}}'
    assert sent(own, output_schema=SCHEMA)["response_format"] == {"type": "text"}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"type": "object", "properties": {"a": {}}, "required": ["a"]}, False),
        ({"type": "object"}, False),
        ({"type": "string"}, True),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"type": "object"}}},
                "required": ["a"],
                "additionalProperties": False,
            },
            False,
        ),
    ],
)
def test_strict_only_where_openai_allows_it(schema: Json, strict: bool) -> None:
    """A schema that OpenAI would refuse under `strict` is not sent as strict."""
    got = response_format(Raw(msgspec.json.encode(schema)))
    assert got["json_schema"]["strict"] is strict


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("hello", "hello"),
        ({"ticket": "hello"}, "hello"),
        ({"ticket": 5}, '{"ticket":5}'),
        ({"a": "x", "b": "y"}, '{"a":"x","b":"y"}'),
        ([1, "ä"], '[1,"ä"]'),
        (None, "null"),
        ({}, "{}"),
    ],
)
def test_input_in_words(value: Json, text: str) -> None:
    """A single text is said as it is; anything else as compact JSON."""
    assert as_text(value) == text


def test_prediction_is_a_chat_of_prompt_and_input() -> None:
    """A prompt used as a function: instructions, input, and the form of the answer."""
    rows = Rows(input={"ticket": "lost"})
    question = ask(rows, instructions="Which team?", output_schema=SCHEMA)
    got = msgspec.json.decode(rows_body(question, rows, "up", "openai"))
    assert got["messages"] == [
        {"role": "system", "content": "Which team?"},
        {"role": "user", "content": "lost"},
    ]
    assert got["model"] == "up"
    assert set(got) == {"model", "messages", "response_format"}


def test_prediction_by_llama_is_bounded_and_repeatable() -> None:
    """llama.cpp is told when to stop and how to sample: a prediction is no lottery."""
    rows = Rows(input="x")
    got = msgspec.json.decode(rows_body(ask(rows), rows, "up", "llama"))
    assert (got["temperature"], got["seed"], got["max_tokens"]) == (0, 0, 1024)
    judged = ask(rows, signal=Signal.LOGPROB, output_schema=SCHEMA)
    got = msgspec.json.decode(rows_body(judged, rows, "up", "llama"))
    assert (got["temperature"], got["post_sampling_probs"]) == (1, True)


# ── whole answers ────────────────────────────────────────────────────────────────────────────────


def test_whole() -> None:
    """Text, reason, token counts and log-probabilities are read; the rest is kept as it is."""
    got = read_whole(REPLY, "openai", keep_logprobs=True)
    assert (got.reply.text, got.reply.finish_reason) == ("hi ä", "stop")
    assert got.usage == Usage(input_tokens=3, output_tokens=2)
    assert got.logprobs == (-0.5, math.log(0.5))
    assert bytes(got.reply.fields["future"]) == b"[1.0]"
    assert b'"content":"hi \\u00e4","annotations": []' in bytes(got.reply.fields["choices"])
    assert "timings" in got.reply.fields


def test_logprobs_nobody_asked_for_are_taken_out() -> None:
    """What only the judge wanted does not reach the caller; the message keeps its bytes."""
    got = read_whole(REPLY, "openai", keep_logprobs=False)
    choices = bytes(got.reply.fields["choices"])
    assert b"logprob" not in choices
    assert b'"content":"hi \\u00e4","annotations": []' in choices
    assert got.logprobs == (-0.5, math.log(0.5))


def test_llama_hides_its_insides() -> None:
    """llama.cpp's own fields tell about our machine and are dropped."""
    assert "timings" not in read_whole(REPLY, "llama", keep_logprobs=False).reply.fields


@pytest.mark.parametrize(
    ("message", "tool_calls"),
    [
        ('{"content":null,"tool_calls":[{"id":"1"}]}', True),
        ('{"content":"","function_call":{"name":"f"}}', True),
        ('{"content":null,"refusal":"No."}', False),
        ('{"content":[{"type":"text","text":"a"},{"type":"image"}]}', False),
    ],
)
def test_answers_without_plain_text(message: str, tool_calls: bool) -> None:
    """Tool calls, refusals and parts are answers too."""
    body = f'{{"choices":[{{"message":{message},"finish_reason":"stop"}}]}}'.encode()
    assert read_whole(body, "openai", keep_logprobs=False).reply.tool_calls is tool_calls


@pytest.mark.parametrize("content", ['""', "null", "[]"])
def test_an_end_at_once_is_an_answer(content: str) -> None:
    """Where the first token meets the caller's `stop`, there is nothing to say, rightly."""
    body = f'{{"choices":[{{"message":{{"content":{content}}},"finish_reason":"stop"}}]}}'.encode()
    reply = read_whole(body, "openai", keep_logprobs=False).reply
    assert (reply.text, reply.finish_reason) == ("", "stop")


def test_choices_in_any_order() -> None:
    """The first choice is the one of index 0, wherever it stands."""
    body = (
        b'{"choices":[{"index":1,"message":{"content":"b"}},{"index":0,"message":{"content":"a"}}]}'
    )
    assert read_whole(body, "openai", keep_logprobs=False).reply.text == "a"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"<html>",
        b'{"choices":[]}',
        b'{"choices":null}',
        b'{"choices":[{"index":0}]}',
        b'{"choices":[{"message":{"content":5}}]}',
        b'{"choices":[{"message":{"content":"a"},"finish_reason":5}]}',
        b'{"error":{"message":"no"}}',
        b'{"error":"no","choices":[{"message":{"content":"a"}}]}',
        b'{"choices":[{"message":{"content":""},"finish_reason":null}]}',
        b'{"choices":[{"message":{"content":null}}]}',
        b'{"choices":[{"message":{"content":"\xff"}}]}',
        b'{"usage":{"prompt_tokens":"many"},"choices":[{"message":{"content":"a"}}]}',
        b"[" * 100_000,
    ],
)
def test_broken_whole(body: bytes) -> None:
    """Anything that is no answer is told to be none."""
    with pytest.raises(BackendBroken):
        read_whole(body, "openai", keep_logprobs=False)


@settings(max_examples=300)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "choices",
                        "message",
                        "delta",
                        "content",
                        "usage",
                        "logprobs",
                        "error",
                        "index",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=20,
    )
)
def test_no_answer_surprises(value: Json) -> None:
    """Whatever JSON an upstream sends, it is an answer or a BackendError."""
    body = msgspec.json.encode(value)
    for read in (read_whole, read_chunk):
        try:
            read(body, "llama", keep_logprobs=False)
        except BackendError:
            continue


@pytest.mark.parametrize("count", ["-1", "10000001", "1" + "0" * 30])
@pytest.mark.parametrize("which", ["prompt_tokens", "completion_tokens", "total_tokens"])
def test_counts_that_cannot_be(which: str, count: str) -> None:
    """Nobody is billed by them: a whole answer is broken, a chunk has as good as no usage."""
    usage = f'"usage":{{"{which}":{count}}}'
    body = f'{{"choices":[{{"message":{{"content":"a"}}}}],{usage}}}'
    with pytest.raises(BackendBroken, match="implausible usage"):
        read_whole(body.encode(), "openai", keep_logprobs=False)
    piece = read_chunk(f'{{"choices":[],{usage}}}'.encode(), "openai", keep_logprobs=False)
    assert piece.chunk.usage is None
    assert "usage" not in piece.chunk.fields


def test_the_largest_counts_that_can_be() -> None:
    """Ten million tokens are counted."""
    body = b'{"choices":[],"usage":{"prompt_tokens":10000000,"completion_tokens":0}}'
    usage = read_chunk(body, "openai", keep_logprobs=False).chunk.usage
    assert usage == Usage(input_tokens=10_000_000)


def test_reported_error_quotes_nobody() -> None:
    """What an upstream says of an error goes where it is not recorded."""
    body = b'{"error":{"message":"bad prompt: SECRET","type":"server_error"}}'
    for read in (read_whole, read_chunk):
        with pytest.raises(BackendBroken) as caught:
            read(body, "openai", keep_logprobs=False)
        assert caught.value.message == "the upstream reports an error (server_error)"
        assert caught.value.said == "bad prompt: SECRET"


def test_llama_is_told_only_what_callers_may_say() -> None:
    """llama.cpp's own parameters, which lift limits or share a cache, do not pass."""
    own = {"n_predict": 60, "grammar": "root ::= x", "id_slot": 0, "cache_prompt": True}
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 3, **own}
    fields = msgspec.json.decode(msgspec.json.encode(body), type=dict[str, msgspec.Raw])
    chat = Chat(fields=fields, messages=(Message("user", "x"),))
    ask = Ask(call_id="c", request=chat, deadline=1.0)

    told = msgspec.json.decode(chat_body(ask, chat, "m", "llama"))

    assert told["max_tokens"] == 3
    assert told["cache_prompt"] is False
    assert not (own.keys() - {"cache_prompt"}) & told.keys()
    assert msgspec.json.decode(chat_body(ask, chat, "m", "openai"))["n_predict"] == 60
