"""The OpenAI backend before a scripted upstream: whole answers and failures."""

from __future__ import annotations

import msgspec
import pytest

from lockgate.core.errors import (
    BackendBroken,
    BackendBusy,
    BackendError,
    BackendRejected,
    InputRejected,
)
from lockgate.core.payload import (
    ChatReply,
    Rows,
    RowsReply,
    Tensors,
)
from lockgate.testing.upstream import (
    whole,
)
from tests.unit.ai.models.openai_bench import (
    PLAIN,
    REPLY,
    SCHEMA,
    STREAM,
    TOKEN,
    ask,
    backend,
    chat,
)

pytestmark = pytest.mark.anyio


async def test_whole_answer() -> None:
    """A chat becomes an answer with its text, its counts and its signals."""
    async with backend(whole(REPLY)) as (made, upstream):
        answer = await made.answer(ask(chat(PLAIN)))
        assert upstream.visits[0].received[0].line == "POST /chat/completions HTTP/1.1"
    assert isinstance(answer.reply, ChatReply)
    assert (answer.target, answer.reply.text, answer.usage.output_tokens) == ("small", "hi ä", 2)
    assert answer.raw.logprobs[0] == -0.5


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (whole(b'{"error":{"message":"slow down"}}', 429), BackendBusy),
        (whole(b"moved", 302, {"Location": "http://evil.example/"}), BackendRejected),
        (whole(b"<html>", headers={"Content-Type": "text/html"}), BackendBroken),
        (whole(b'{"error":{"message":"oops"}}'), BackendBroken),
        (whole(b'{"choices":[]}'), BackendBroken),
        (whole(b"", 500), BackendError),
        (whole(b"", 400), InputRejected),
        (b"nonsense\r\n\r\n", BackendBroken),
    ],
)
@pytest.mark.parametrize("body", [PLAIN, STREAM], ids=["whole", "stream"])
async def test_failures(answer: bytes, kind: type[BackendError], body: str) -> None:
    """A failure has its class and the target's name, whether a stream was asked for or not."""
    async with backend(answer) as (made, upstream):
        with pytest.raises(kind) as caught:
            await made.answer(ask(chat(body)))
        assert type(caught.value) is kind
        assert len(upstream.visits) == 1
    assert caught.value.target == "small"
    assert not caught.value.after_output


async def test_secret_that_is_sent_back_stays_here() -> None:
    """An upstream that repeats our credential in its explanation does not get it any further."""
    said = whole(b'{"error":{"message":"bad header: Bearer hunter22hunter22!"}}', 400)
    async with backend(said) as (made, _):
        with pytest.raises(BackendRejected) as caught:
            await made.answer(ask(chat(PLAIN)))
    assert "hunter22" not in str(caught.value)
    assert caught.value.said == "bad header: Bearer ***!"


async def test_secret_in_an_answer_stays_here() -> None:
    """An upstream that writes our credential into its answer does not get it any further."""
    said = REPLY.replace(b"hi \\u00e4", b"you sent " + TOKEN.encode())
    async with backend(whole(said)) as (made, _):
        reply = (await made.answer(ask(chat(PLAIN)))).reply
    assert isinstance(reply, ChatReply)
    assert reply.text == "you sent ***"
    assert TOKEN.encode() not in msgspec.json.encode(reply.fields)


async def test_busy_upstream_says_when_to_come_back() -> None:
    """Its `Retry-After` comes with the error, whether a stream was asked for or not."""
    async with backend(whole(b"{}", 429, {"Retry-After": "7"})) as (made, _):
        for body in (PLAIN, STREAM):
            with pytest.raises(BackendBusy) as caught:
                await made.answer(ask(chat(body)))
            assert caught.value.retry_after_s == 7.0


async def test_prediction() -> None:
    """The model's text becomes the output: JSON under a schema, else a text."""
    reply = whole(b'{"choices":[{"message":{"content":"{\\"team\\": \\"x\\"}"}}]}')
    async with backend(reply) as (made, _):
        with_schema = await made.answer(ask(Rows(input="a"), output_schema=SCHEMA))
        without = await made.answer(ask(Rows(input="a")))
    assert isinstance(with_schema.reply, RowsReply)
    assert with_schema.reply.output == {"team": "x"}
    assert isinstance(without.reply, RowsReply)
    assert without.reply.output == {"text": '{"team": "x"}'}


async def test_prediction_that_is_no_json() -> None:
    """Under a schema, a text that is no JSON is a broken answer, and a cut-off one says so."""
    for finish, why in (("stop", "did not write JSON"), ("length", "cut off")):
        body = f'{{"choices":[{{"message":{{"content":"{{\\"te"}},"finish_reason":"{finish}"}}]}}'
        async with backend(whole(body.encode())) as (made, _):
            with pytest.raises(BackendBroken, match=why):
                await made.answer(ask(Rows(input="a"), output_schema=SCHEMA))


async def test_tensors_are_not_for_language_models() -> None:
    """Tensors are refused without asking the upstream."""
    async with backend(whole(REPLY)) as (made, upstream):
        with pytest.raises(BackendRejected):
            await made.answer(ask(Tensors(inputs=())))
        assert not upstream.visits


async def test_ready_costs_nothing() -> None:
    """A paid upstream is only connected to; llama.cpp is asked for its health."""
    async with backend(whole(b"{}")) as (made, upstream):
        assert await made.ready()
        assert not upstream.visits[0].received
    async with backend(whole(b"{}"), dialect="llama") as (made, upstream):
        assert await made.ready()
        assert upstream.visits[0].received[0].line == "GET /health HTTP/1.1"
    async with backend(whole(b"{}", 503), dialect="llama") as (made, upstream):
        assert not await made.ready()
