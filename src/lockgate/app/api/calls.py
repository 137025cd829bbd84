"""What every surface does with a call: find out who asks for what, carry it, tell the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Literal

import msgspec

from lockgate.app.api.arrival import Arrival, Response
from lockgate.app.api.offer import Front, Offer
from lockgate.app.api.problems import Dialect, log_bug, told, wrapped
from lockgate.core.errors import (
    CallRefused,
    InvalidCall,
    LockgateError,
    StoreError,
    Unauthenticated,
    UnknownModel,
)
from lockgate.core.exchange import Call, Caller, Exchange, Outcome, Surface
from lockgate.core.payload import Request

Tell = Callable[[Exchange], Awaitable[None] | None]
"""Sends the answer of an exchange that has one, a stream in its own time; records it before the
last byte."""

_WRONG_PLACES: Final = (b"x-api-key", b"api-key", b"x-goog-api-key", b"x-lockgate-key", b"apikey")
_MOST_MS: Final = 86_400_000


def identify(front: Front, arrival: Arrival) -> Caller:
    """Find out who calls, from `authorization: Bearer <key>`.

    Raises:
        Unauthenticated: No key or a wrong one; the message says if one lies in a wrong place.
    """
    presented = arrival.headers.get(b"authorization")
    if presented is None:
        return _without_header(front, arrival)
    scheme, _, key = presented.partition(b" ")
    if scheme.lower() != b"bearer" or not key:
        raise Unauthenticated(
            "The authorization header is not of the form 'Authorization: Bearer <key>'."
        )
    return front.identify(key.strip().decode("latin-1"))


def _without_header(front: Front, arrival: Arrival) -> Caller:
    try:
        return front.identify(None)
    except Unauthenticated as error:
        for name in _WRONG_PLACES:
            if name in arrival.headers:
                raise _misplaced(f"the header '{name.decode()}'") from error
        if b"key=" in arrival.query:
            raise _misplaced("the URL, where it ends up in logs") from error
        raise


def _misplaced(place: str) -> Unauthenticated:
    return Unauthenticated(
        f"A key was found in {place}; it belongs in 'Authorization: Bearer <key>'."
    )


def find(front: Front, name: str, kind: Literal["chat", "predict"]) -> Offer:
    """Find the service called *name*.

    Raises:
        UnknownModel: There is none, or it is of another kind.
    """
    offer = front.offers.get(name)
    if offer is None:
        raise unknown_model(name)
    if offer.kind != kind:
        url = f"/v1/services/{name}/predict" if kind == "chat" else "/v1/chat/completions"
        raise UnknownModel(
            f"The service `{name}` is of kind '{offer.kind}' and is called at {url}."
        )
    return offer


def unknown_model(name: str) -> UnknownModel:
    """Say that there is no such service, in OpenAI's words."""
    shown = name if len(name) <= 100 else name[:100] + "…"
    return UnknownModel(f"The model `{shown}` does not exist or you do not have access to it.")


def call_of(
    arrival: Arrival, offer: Offer, caller: Caller, surface: Surface, request: Request
) -> Call:
    """Make the call; a caller may ask for less time than the service allows, not for more."""
    allowed = offer.deadline_s
    asked = arrival.headers.get(b"x-lockgate-deadline-ms")
    if asked is not None:
        allowed = min(allowed, _milliseconds(asked) / 1000)
    return Call(
        id=arrival.id,
        service=offer.name,
        surface=surface,
        caller=caller,
        request=request,
        received=arrival.received,
        received_at=arrival.received_at,
        deadline=arrival.received + allowed,
    )


def _milliseconds(asked: bytes) -> int:
    if not asked.isdigit() or len(asked) > len(str(_MOST_MS)) or int(asked) == 0:
        raise InvalidCall(
            "the header x-lockgate-deadline-ms is not a positive whole number of milliseconds",
            param="x-lockgate-deadline-ms",
        )
    return int(asked)


async def conduct(arrival: Arrival, offer: Offer, call: Call, dialect: Dialect, tell: Tell) -> None:
    """Carry *call*, and tell its answer or, in *dialect*, why there is none.

    Raises:
        asyncio.CancelledError: The caller left; the call has been recorded.
    """
    exchange = await offer.path.carry(call)
    try:
        if exchange.answer is None:
            _tell_failure(arrival, offer, exchange, dialect)
        elif (telling := tell(exchange)) is not None:
            await telling
    except LockgateError as error:  # a stream that broke before its first byte, or the journal did
        _tell_failure(arrival, offer, failed(exchange, error), dialect)
    except Exception as bug:  # noqa: BLE001 — a bug of ours is still told, and recorded, as a 500
        _tell_failure(arrival, offer, failed(exchange, wrapped(bug)), dialect)
    finally:
        _close(offer, exchange)


def failed(exchange: Exchange, error: LockgateError) -> Exchange:
    """Take back the answer of *exchange*: it ended in *error* after all."""
    outcome = Outcome.REFUSED if isinstance(error, CallRefused) else Outcome.FAILED
    return msgspec.structs.replace(exchange, answer=None, failure=error, outcome=outcome)


def _close(offer: Offer, exchange: Exchange) -> None:
    """Give everything back; that an unrecorded call still cannot be recorded was told before."""
    try:
        offer.path.close(exchange)
    except StoreError as error:
        log_bug(error, exchange.call.id)


def tell_whole(arrival: Arrival, offer: Offer, exchange: Exchange, response: Response) -> None:
    """Record *exchange*, then send its whole answer.

    Raises:
        StoreError: It could not be recorded, so nothing was sent.
    """
    offer.path.record(exchange, response.status)
    arrival.respond(response)


def _tell_failure(arrival: Arrival, offer: Offer, exchange: Exchange, dialect: Dialect) -> None:
    error = exchange.failure or LockgateError("an exchange with neither answer nor failure")
    log_bug(error, arrival.id)
    if arrival.began:  # too late to say anything; the line is cut, so the caller knows
        return
    response = dialect(told(error, exchange))
    if not exchange.tally.recorded and not isinstance(error, StoreError):
        offer.path.record(exchange, response.status)
    arrival.respond(response)
