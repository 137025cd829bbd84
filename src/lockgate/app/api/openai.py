"""OpenAI's protocol: `POST /v1/chat/completions` and `GET /v1/models`.

What a model gave goes back field by field as it came; only `id` becomes our own, by which
`lockgate explain` finds the call, and `model` the service's name; and a `lockgate` object tells
outcome, confidence and cost.
"""

from __future__ import annotations

from functools import partial

import msgspec

from lockgate.app.api import problems
from lockgate.app.api.arrival import Arrival, Response
from lockgate.app.api.body import read_body, too_large
from lockgate.app.api.calls import call_of, conduct, find, identify, tell_whole, unknown_model
from lockgate.app.api.chat_body import parse_chat
from lockgate.app.api.facts import Facts, facts_of
from lockgate.app.api.frames import CHAT_ID, usage_object
from lockgate.app.api.offer import Front, Offer
from lockgate.app.api.stream import tell_stream
from lockgate.core.exchange import Caller, Exchange, Surface
from lockgate.core.payload import ChatReply, Json


async def chat(front: Front, arrival: Arrival) -> None:
    """Answer one chat, whole or as a stream."""
    caller = identify(front, arrival)
    body = read_body(arrival, front.body_limit)
    model, asked = parse_chat(body)
    offer = find(front, model, "chat")
    if len(body) > offer.body_limit:  # known only now: the name is in the body
        raise too_large(offer.body_limit)
    call = call_of(arrival, offer, caller, Surface.CHAT, asked)
    if asked.stream:
        tell = partial(tell_stream, arrival, offer, asked)
    else:
        tell = partial(_tell_completion, arrival, offer)
    await conduct(arrival, offer, call, problems.openai, tell)


def chat_admits(front: Front, arrival: Arrival) -> int:
    """Say how large a chat may be; which service it is for is in its body.

    Raises:
        LockgateError: It need not be awaited.
    """
    identify(front, arrival)
    return front.body_limit


def _tell_completion(arrival: Arrival, offer: Offer, exchange: Exchange) -> None:
    facts = facts_of(exchange)
    response = Response(200, completion(exchange, facts), headers=facts.headers())
    tell_whole(arrival, offer, exchange, response)


def completion(exchange: Exchange, facts: Facts) -> bytes:
    """Write the answer as a `chat.completion`, with its *facts*."""
    assert exchange.answer is not None
    reply = exchange.answer.reply
    assert isinstance(reply, ChatReply)
    fields: dict[str, Json] = dict(reply.fields) or _written_here(exchange, reply)
    fields["id"] = CHAT_ID + exchange.call.id
    fields["model"] = exchange.call.service
    fields["lockgate"] = facts
    return msgspec.json.encode(fields)


def _written_here(exchange: Exchange, reply: ChatReply) -> dict[str, Json]:
    assert exchange.answer is not None
    message = {"role": "assistant", "content": reply.text, "refusal": None}
    return {
        "id": None,  # as of every answer, still to come
        "object": "chat.completion",
        "created": exchange.call.received_at // 1_000_000_000,
        "choices": [
            {
                "index": 0,
                "message": message,
                "logprobs": None,
                "finish_reason": reply.finish_reason,
            }
        ],
        "usage": usage_object(exchange.answer.usage),
    }


async def models(front: Front, arrival: Arrival) -> None:
    """List the chat services that the caller may use."""
    caller = identify(front, arrival)
    offers = [_model(offer) for offer in front.offers.values() if _visible(offer, caller)]
    body = msgspec.json.encode({"object": "list", "data": offers})
    arrival.respond(Response(200, body))


async def model(front: Front, arrival: Arrival) -> None:
    """Describe one chat service."""
    caller = identify(front, arrival)
    offer = front.offers.get(arrival.name)
    if offer is None or not _visible(offer, caller):
        raise unknown_model(arrival.name)
    arrival.respond(Response(200, msgspec.json.encode(_model(offer))))


def _visible(offer: Offer, caller: Caller) -> bool:
    return offer.kind == "chat" and (not caller.services or offer.name in caller.services)


def _model(offer: Offer) -> dict[str, Json]:
    return {
        "id": offer.name,
        "object": "model",
        "created": offer.created,
        "owned_by": "lockgate",
        "lockgate": {"release": offer.release, "purpose": offer.purpose},
    }
