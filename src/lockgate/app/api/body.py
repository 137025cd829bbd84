"""Reads a request's body within its limit, without ever holding more than that."""

from __future__ import annotations

from typing import Final

from lockgate.app.api.arrival import Arrival
from lockgate.core.errors import CallTooLarge, InvalidCall

_DIGITS: Final = 18


class CallerLeft(Exception):
    """The caller hung up before the request was complete; there is nobody to answer."""


async def read_body(arrival: Arrival, limit: int) -> bytes:
    """Read the whole body, at most *limit* bytes, and set the watch that looks after the rest.

    Raises:
        CallTooLarge: It is larger; said before reading when `content-length` tells.
        InvalidCall: It is compressed.
        CallerLeft: The caller hung up.
    """
    _check_announced(arrival, limit)
    watch = arrival.watch = arrival.watches.begin(arrival.receive)
    body = await _next(arrival)
    if arrival.unread:  # the rare case: it did not come with the headers
        whole = bytearray(body)
        while arrival.unread and len(whole) <= limit:
            whole += await _next(arrival)
        body = bytes(whole)
    if len(body) > limit:
        raise too_large(limit)
    watch.body_read()
    return body


async def _next(arrival: Arrival) -> bytes:
    event = await arrival.receive()
    if event["type"] == "http.disconnect":
        raise CallerLeft
    arrival.unread = event.get("more_body", False)
    return event.get("body", b"")


def _check_announced(arrival: Arrival, limit: int) -> None:
    if arrival.headers.get(b"content-encoding", b"identity") != b"identity":
        raise InvalidCall(
            "compressed request bodies are not taken; send it without content-encoding"
        )
    announced = arrival.headers.get(b"content-length")
    if announced is None:
        return
    if not announced.isdigit() or len(announced) > _DIGITS:
        raise InvalidCall("the content-length header is not a number")
    if int(announced) > limit:
        raise too_large(limit)


def too_large(limit: int) -> CallTooLarge:
    """Say what the limit is and where it is set."""
    return CallTooLarge(
        f"the request's body is larger than {limit} bytes, the most this service takes"
        " (limits.body in the manifest)"
    )
