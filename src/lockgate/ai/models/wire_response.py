"""What a wire brings back, and what can be wrong with it."""

from __future__ import annotations

import msgspec

from lockgate.core.errors import BackendGone

MAX_HEAD = 65_536
"""Bytes of a header block, of trailers, or of anything else that is not body."""

Pairs = list[tuple[bytes, bytes]]
"""Header lines: names and values as they came."""


class Response(msgspec.Struct, frozen=True, gc=False):
    """A whole response; header names are lower case."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes


class Stale(BackendGone):
    """A reused connection turned out to be dead before the first byte of a response."""


def joined(pairs: Pairs) -> dict[bytes, bytes]:
    """Index headers by lower-case name; repeated ones are one list (RFC 9110 §5.3)."""
    headers = {name.lower(): value for name, value in pairs}
    if len(headers) != len(pairs):
        headers = {}
        for name, value in pairs:
            key = name.lower()
            headers[key] = value if key not in headers else headers[key] + b", " + value
    return headers


def until_eof(headers: dict[bytes, bytes]) -> bool:
    """Say whether the end of the connection is the end of the body (RFC 9112 §6.3).

    After a transfer coding other than `chunked` it would be too, but no such coding can be read.
    """
    return b"content-length" not in headers and b"transfer-encoding" not in headers
