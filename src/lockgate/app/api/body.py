"""What may be said about a request's body: its size, its coding, its coming."""

from __future__ import annotations

from typing import Final

from lockgate.app.api.arrival import Arrival
from lockgate.core.errors import CallTooLarge, CallTooSlow, InvalidCall

_DIGITS: Final = 18


class CallerLeft(Exception):
    """The caller hung up before the request was complete; there is nobody to answer."""


def read_body(arrival: Arrival, limit: int) -> bytes:
    """Give the whole body, at most *limit* bytes.

    Raises:
        CallTooLarge: It is larger, or `content-length` says that it will be.
        InvalidCall: It is compressed.
        CallTooSlow: It did not come in time.
        CallerLeft: The caller hung up.
    """
    if arrival.left:
        raise CallerLeft
    if arrival.unread or b"content-encoding" in arrival.headers:
        check_announced(arrival, limit)
    body = arrival.body
    if len(body) > limit:
        raise too_large(limit)
    if arrival.unread:
        raise CallTooSlow("the request's body did not arrive in time; send it faster, or smaller")
    return body


def check_announced(arrival: Arrival, limit: int) -> None:
    """Refuse a body for what its headers say of it.

    Raises:
        CallTooLarge: It will be larger than *limit* bytes.
        InvalidCall: It is compressed.
    """
    headers = arrival.headers
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise InvalidCall(
            "compressed request bodies are not taken; send it without content-encoding"
        )
    announced = headers.get(b"content-length")
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
