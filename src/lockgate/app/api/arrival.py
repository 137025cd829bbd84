"""One HTTP request as it came in, and the response that goes back, in raw ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, NamedTuple

from lockgate.app.api.watch import Event, Receive, Watch, Watches

Scope = MutableMapping[str, Any]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Whole = Callable[[int, bytes, bytes], bool]
"""Takes status, header lines and body at once; False if they must go the ordinary way."""
Header = tuple[bytes, bytes]

WHOLE: Final = "lockgate.whole"
"""Name of the ASGI extension by which our server takes a whole response at once."""
DRAINED: Final = 65_536
"""Bytes of an unread body that are cheaper to swallow than to close the connection for."""
LINGER_S: Final = 2.0
LINGER_BYTES: Final = 64_000_000


class Response(NamedTuple):
    """A whole response: status, body, and headers beside those every response has."""

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: tuple[Header, ...] = ()


class Arrival:
    """One request on its way through the front door.

    Attributes:
        id: The request id that every answer carries.
        received: When it came in, monotonic seconds.
        client: The peer's address, empty on a unix socket.
        name: The `{name}` in the path, empty if it has none; likewise `version`.
        unread: The body has not been read to its end.
        began: A response has begun, so no other can be sent.
        watch: Looks after the request from the time its body is read.
        whole: Takes a whole response in one go, if the server can.
    """

    __slots__ = (
        "began",
        "client",
        "headers",
        "id",
        "method",
        "name",
        "path",
        "query",
        "receive",
        "received",
        "received_at",
        "send",
        "unread",
        "version",
        "watch",
        "watches",
        "whole",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, watches: Watches) -> None:
        self.id = ""
        self.received = 0.0
        self.received_at = 0
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope.get("query_string", b"")
        self.client: str = scope["client"][0] if scope.get("client") else ""
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.receive = receive
        self.send = send
        self.name = ""
        self.version = ""
        self.unread = self.method == "POST"
        self.began = False
        self.watches = watches
        self.watch: Watch | None = None
        extensions: dict[str, Any] = scope.get("extensions") or {}
        self.whole: Whole | None = extensions.get(WHOLE)

    async def respond(self, response: Response, *, closing: bool = False) -> None:
        """Send *response*; if a large body is still coming, hang up politely."""
        closing = closing or (self.unread and not self._nearly_read())
        if self.whole is not None and not closing and self.whole(*_written(response, self.id)):
            self.began = True
            return
        await self.begin(response, closing=closing)
        await self.send({"type": "http.response.body", "body": response.body, "more_body": closing})
        if closing:
            await self._linger()

    async def begin(self, response: Response, *, closing: bool = False) -> None:
        """Send status and headers of *response*."""
        self.began = True
        headers = [
            (b"content-type", response.content_type),
            (b"content-length", b"%d" % len(response.body)),
            (b"x-request-id", self.id.encode()),
            *response.headers,
        ]
        if closing:
            headers.append((b"connection", b"close"))
        await self.send(
            {"type": "http.response.start", "status": response.status, "headers": headers}
        )

    def _nearly_read(self) -> bool:
        length = self.headers.get(b"content-length", b"")
        if not length:
            return b"transfer-encoding" not in self.headers
        return length.isdigit() and int(length) <= DRAINED

    async def _linger(self) -> None:
        """Read on for a moment before closing: closing at once would reset the line.

        A reset makes the caller's system throw away the very response that explains it
        (RFC 9112, 9.6).
        """
        await _swallow(self.receive)
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})


def _written(response: Response, request_id: str) -> tuple[int, bytes, bytes]:
    """Write the header lines of *response*.

    Raises:
        ValueError: A header would have begun another.
    """
    lines = [
        b"content-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n"
        % (response.content_type, len(response.body), request_id.encode()),
        *(b"%b: %b\r\n" % pair for pair in response.headers),
    ]
    head = b"".join(lines)
    if head.count(b"\n") != len(lines) + 2 or head.count(b"\r") != len(lines) + 2:
        raise ValueError("a header's value has a line break")
    return response.status, head, response.body


async def _swallow(receive: Receive) -> None:
    """Read and forget what is still coming, for a moment."""
    seen = 0
    try:
        async with asyncio.timeout(LINGER_S):
            while seen < LINGER_BYTES:
                event = await receive()
                if event["type"] == "http.disconnect" or not event.get("more_body", False):
                    return
                seen += len(event.get("body", b""))
    except TimeoutError:
        return
