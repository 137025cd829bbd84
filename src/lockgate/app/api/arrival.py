"""One HTTP request as the server hands it over, and the ways its response goes back."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Final, NamedTuple, Protocol

DRAINED: Final = 65_536
"""Bytes of an unread body that are cheaper to swallow than to close the connection for."""


class Response(NamedTuple):
    """A whole response: status, body, and header lines beside those every response has.

    Attributes:
        headers: Whole lines, each with its CRLF; see `header_line`.
    """

    status: int
    body: bytes
    content_type: bytes = b"application/json"
    headers: bytes = b""


class Channel(Protocol):
    """The server's side of a request: writes its response. It forgets what nobody will read."""

    def send(self, arrival: Arrival, response: Response, *, closing: bool) -> None:
        """Write a whole response at once; if *closing*, the connection ends with it."""
        ...

    def begin(self, arrival: Arrival, head: bytes) -> None:
        """Write the head of a stream with status 200: *head*, and how it is framed."""
        ...

    async def write(self, arrival: Arrival, piece: bytes) -> None:
        """Write a piece of a stream, as soon as the caller has read enough of the last ones."""
        ...

    async def end(self, arrival: Arrival, piece: bytes) -> None:
        """Write the last piece of a stream."""
        ...


class Arrival:
    """One request on its way through the front door.

    Attributes:
        id: The request id that every answer carries.
        received: When it came in, monotonic seconds.
        client: The peer's address, empty on a unix socket.
        headers: By lower-case name; of one that is repeated, the last.
        body: All of it, unless it is `unread`.
        name: The `{name}` in the path, empty if it has none; likewise `version`.
        unread: The body was not awaited to its end: it is not admitted, too large, or too late.
        left: The caller hung up; if a task was at work on an answer, it has been cancelled.
        settled: The answer is decided; the task is not cancelled any more if the caller leaves.
        began: A response has begun, so no other can be sent.
        keep_alive: The connection may serve another request afterwards (the server's note).
        chunked: A stream is sent in chunks rather than until the connection's end (likewise).
    """

    __slots__ = (
        "began",
        "body",
        "channel",
        "chunked",
        "client",
        "headers",
        "id",
        "keep_alive",
        "left",
        "method",
        "name",
        "path",
        "query",
        "received",
        "received_at",
        "settled",
        "unread",
        "version",
    )

    def __init__(self, channel: Channel, method: str, path: str, client: str = "") -> None:
        self.channel = channel
        self.method = method
        self.path = path
        self.client = client
        self.query = b""
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.id = ""
        self.received = 0.0
        self.received_at = 0
        self.name = ""
        self.version = ""
        self.unread = False
        self.left = False
        self.settled = False
        self.began = False
        self.keep_alive = True
        self.chunked = True

    def respond(self, response: Response, *, closing: bool = False) -> None:
        """Send *response*; if a large body is still coming, hang up politely."""
        self.began = True
        if self.unread:
            closing = closing or not self._nearly_read()
        self.channel.send(self, response, closing=closing)

    def _nearly_read(self) -> bool:
        """Say whether the rest is small, and sure to come."""
        length = self.headers.get(b"content-length", b"")
        return length.isdigit() and int(length) <= DRAINED and b"expect" not in self.headers


class App(Protocol):
    """What the server calls."""

    def __call__(self, arrival: Arrival) -> Coroutine[Any, Any, None]:
        """Answer a request. Cancelled because the caller left, it ends as if it had answered."""
        ...

    def admits(self, arrival: Arrival) -> int:
        """Say how large a body is worth waiting for; -1 if the head is enough to answer."""
        ...


def header_line(name: bytes, value: bytes) -> bytes:
    """Write one header.

    Raises:
        ValueError: It would have begun another.
    """
    if b"\n" in value or b"\r" in value:
        raise ValueError("a header's value has a line break")
    return b"%b: %b\r\n" % (name, value)
