"""`POST /v1/services/{name}/predict`: one JSON value in, one JSON value out.

The answer's body is exactly what the service's contract promises, so the facts about it are in
headers only.
"""

from __future__ import annotations

import msgspec

from lockgate.app.api import problems
from lockgate.app.api.arrival import Arrival, Response
from lockgate.app.api.body import read_body
from lockgate.app.api.calls import call_of, conduct, find, identify, tell_whole
from lockgate.app.api.facts import facts_of
from lockgate.app.api.offer import Front
from lockgate.core.errors import InvalidCall
from lockgate.core.exchange import Exchange, Surface
from lockgate.core.payload import Json, Rows, RowsReply


async def predict(front: Front, arrival: Arrival) -> None:
    """Answer one plain JSON call."""
    caller = identify(front, arrival)
    offer = find(front, arrival.name, "predict")
    rows = Rows(input=parse_json(read_body(arrival, offer.body_limit)))
    call = call_of(arrival, offer, caller, Surface.PREDICT, rows)

    def tell(exchange: Exchange) -> None:
        assert exchange.answer is not None
        reply = exchange.answer.reply
        assert isinstance(reply, RowsReply)
        body = msgspec.json.encode(reply.output)
        response = Response(200, body, headers=facts_of(exchange).headers())
        tell_whole(arrival, offer, exchange, response)

    await conduct(arrival, offer, call, problems.plain, tell)


def predict_admits(front: Front, arrival: Arrival) -> int:
    """Say how large the body may be.

    Raises:
        LockgateError: It need not be awaited.
    """
    identify(front, arrival)
    return find(front, arrival.name, "predict").body_limit


def parse_json(body: bytes) -> Json:
    """Read any JSON value.

    Raises:
        InvalidCall: It is not JSON (RFC 8259, so without NaN and infinities), or too deep.
    """
    try:
        return msgspec.json.decode(body)
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} of a string is not valid UTF-8"
    except RecursionError:
        reason = "it is nested too deeply"
    except msgspec.DecodeError as error:
        reason = str(error)
    raise InvalidCall(f"the body cannot be read as JSON: {reason}")
