"""Why a connection is not served any further, in HTTP and JSON."""

from __future__ import annotations

from typing import Final

import msgspec

HEAD_SECONDS: Final = 10.0
"""From the connection, or the first byte of a request, to the end of its headers."""
HEAD_BYTES: Final = 65_536
"""Request line and headers."""
HEAD_FIELDS: Final = 256
"""Number of headers."""
PIPELINED: Final = 64
"""Requests that may wait behind the one being answered on the same connection."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a connection is not served any further."""

    status: int
    code: str
    message: str

    def body(self) -> bytes:
        """Write it in the shape of all other errors."""
        error = {
            "message": self.message,
            "type": "invalid_request_error",
            "param": None,
            "code": self.code,
        }
        return msgspec.json.encode({"error": error})


TOO_SLOW: Final = Refusal(
    408, "request_timeout", f"The request's headers did not arrive within {HEAD_SECONDS:g} seconds."
)
TOO_LARGE: Final = Refusal(
    431,
    "headers_too_large",
    f"Request line and headers may have {HEAD_BYTES} bytes and {HEAD_FIELDS} fields.",
)
VERSION: Final = Refusal(
    505, "http_version", "Only HTTP/1.1 and HTTP/1.0 are spoken here; TLS and HTTP/2 end in front."
)
CODING: Final = Refusal(
    501, "transfer_coding", "Of all transfer codings only 'chunked' is taken here."
)
PIPELINE: Final = Refusal(
    400, "bad_http", f"At most {PIPELINED} requests may be pipelined on one connection."
)


class Refused(Exception):
    """Raised inside the parser's callbacks to end a connection."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def malformed(reason: str) -> Refusal:
    """Say what is wrong with the bytes."""
    return Refusal(400, "bad_http", f"This is not a valid HTTP/1.1 request: {reason}.")
