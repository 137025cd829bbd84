"""Things that nothing is special about, but for what a test says of them."""

from __future__ import annotations

import msgspec

from lockgate.core.exchange import Answer, Call, Caller, Evidenced, Exchange, Surface
from lockgate.core.payload import Chat, ChatReply, Json, Message, Request, Rows, RowsReply, Usage
from lockgate.testing.fakes import FakeClock


def a_chat(text: str = "hello", *, stream: bool = False, role: str = "user") -> Chat:
    """Build a chat request of one message."""
    messages = (Message(role, text),)
    fields = {
        "model": msgspec.Raw(b'"assistant"'),
        "messages": msgspec.Raw(msgspec.json.encode(messages)),
    }
    return Chat(fields=fields, messages=messages, stream=stream)


def a_call(
    request: Request | None = None,
    *,
    tenant: str = "acme",
    deadline_s: float = 10.0,
    services: frozenset[str] = frozenset(),
    clock: FakeClock | None = None,
) -> Call:
    """Build a call that came in just now."""
    clock = clock or FakeClock()
    wanted = a_chat() if request is None else request
    return Call(
        id="call-1",
        service="assistant",
        surface=Surface.CHAT if isinstance(wanted, Chat) else Surface.PREDICT,
        caller=Caller(key_id="k1", tenant=tenant, services=services),
        request=wanted,
        received=clock.monotonic(),
        received_at=clock.now_ns(),
        deadline=clock.monotonic() + deadline_s,
    )


def an_exchange(call: Call | None = None) -> Exchange:
    """Build an exchange to which nothing has happened yet."""
    return Exchange(call=call or a_call())


def a_reply(text: str = "hi", *, target: str = "small", logprobs: tuple[float, ...] = ()) -> Answer:
    """Build a chat answer that used 5 tokens and wrote 2."""
    return Answer(
        reply=ChatReply(text=text),
        target=target,
        usage=Usage(input_tokens=5, output_tokens=2),
        raw=Evidenced(logprobs=logprobs),
    )


def rows(value: Json) -> Rows:
    """Build a predict request."""
    return Rows(input=value)


def a_row(output: Json, *, target: str = "small", sure: float | None = None) -> Answer:
    """Build a predict answer, with a class probability if *sure* is given."""
    seen = Evidenced(probabilities=() if sure is None else (sure,))
    return Answer(reply=RowsReply(output=output), target=target, raw=seen)
