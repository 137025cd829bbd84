"""HTTP/1.1 on one of a worker's connections, between the C parser and the application.

llhttp (below httptools) refuses by itself what request smuggling lives on: Content-Length beside
Transfer-Encoding, duplicate or odd lengths, bare line feeds, folded headers, spaces before colons.
`head.py` adds what headers must say, this who is too slow or says too much; the answers are JSON.

A request is given to the application once all of it is there. Only of one whose body does not come
along with its head is the application asked first whether the rest is worth waiting for; if not,
it gets the request as it is, and says why.
"""

from __future__ import annotations

import asyncio
import urllib.parse

import httptools

from lockgate.app.api.arrival import Arrival
from lockgate.processes.head import check_fields
from lockgate.processes.refusal import (
    HEAD_BYTES,
    HEAD_FIELDS,
    PIPELINE,
    PIPELINED,
    TOO_LARGE,
    TOO_SLOW,
    VERSION,
    Refusal,
    Refused,
    malformed,
)
from lockgate.processes.sending import Sending
from lockgate.processes.shared import Shared
from lockgate.processes.upgrade import BodyParser

_READ_BYTES = 262_144  # the most an event loop hands over at once
_VERSIONS = frozenset({"1.1", "1.0"})
_CODING = b"transfer-encoding"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(Sending):
    """One connection: what comes in. `Sending` is what goes out."""

    __slots__ = (
        "_allowed",
        "_asked",
        "_chunk",
        "_client",
        "_fields",
        "_framing",
        "_gathered",
        "_host",
        "_incoming",
        "_parser",
        "_rest",
        "_url",
    )

    def __init__(self, shared: Shared) -> None:
        super().__init__(shared)
        self._parser = httptools.HttpRequestParser(self)
        self._rest: BodyParser | None = None
        self._client = ""
        self._url = b""
        self._host = b""  # the last one that was looked at
        self._fields: list[tuple[bytes, bytes]] = []
        self._chunk = 0
        self._framing = 0  # bytes since the head began or body was last seen; at most a chunk more
        self._incoming: Arrival | None = None  # its headers are complete, its body is not
        self._gathered: bytearray | None = None  # its body, if that came in more than one piece
        self._asked = False
        self._allowed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: called by the event loop."""
        super().connection_made(transport)
        self._shared.connections.add(self)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):  # a unix socket has a name, or none
            self._client = str(peer[0])  # pyright: ignore[reportUnknownArgumentType]

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application that nobody waits for its answer: called by the event loop."""
        super().connection_lost(exc)
        self._shared.connections.discard(self)
        incoming, self._incoming = self._incoming, None
        if incoming is not None and self._asked:
            incoming.left = incoming.unread = True
            self._loop.create_task(self._shared.app(incoming))
        del self._parser  # which knows us, too

    def data_received(self, data: bytes) -> None:
        """Parse *data*; whatever cannot be understood ends the connection with a reason."""
        if self._deaf:
            self._swallow(len(data))
            return
        self._chunk = len(data)
        self._framing += self._chunk
        refusal = self._feed(data)
        if refusal is not None:
            self._refuse(refusal)
        elif self._incoming is not None:
            self._await_body(self._incoming)
        elif self._active is None and not self._hurried:
            self._hurry()

    def on_message_begin(self) -> None:
        """Forget the last request: called by httptools, like all that follow."""
        self._url = b""
        self._fields = []
        self._head_open = True
        self._framing = self._chunk

    def on_url(self, url: bytes) -> None:
        """Take (a piece of) the request's target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer, which nobody looks at."""
        self._fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Make the request of what was taken."""
        fields, parser = self._fields, self._parser
        if self._framing > HEAD_BYTES or len(fields) > HEAD_FIELDS:
            _check_head(self._url, fields)
        version = parser.get_http_version()
        if version not in _VERSIONS:
            raise Refused(VERSION)
        if len(self._queue) >= PIPELINED:
            raise Refused(PIPELINE)
        arrival = Arrival(self, parser.get_method().decode(), "", self._client)
        arrival.path, arrival.query = _target(self._url)
        arrival.headers = headers = dict(fields)
        arrival.chunked = version == "1.1"
        host = headers.get(b"host")
        if host != self._host or len(headers) < len(fields) or _CODING in headers:
            check_fields(fields, host_required=arrival.chunked)
            self._host = host or b""
        arrival.keep_alive = arrival.chunked and parser.should_keep_alive()
        self._incoming = arrival
        self._mid = True
        self._head_open = self._asked = False
        self._framing = 0

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body, unless the request has been given away without it."""
        self._framing = 0
        arrival = self._incoming
        if arrival is None:
            return
        if not arrival.body:
            arrival.body = body
        elif self._gathered is None:
            self._gathered = bytearray(arrival.body)
            self._gathered += body
        else:
            self._gathered += body

    def on_message_complete(self) -> None:
        """Give the request to the application, unless the parser leaves its body to us."""
        if not self._parser.should_upgrade():
            self._complete()

    def _complete(self) -> None:
        self._mid = False
        arrival = self._incoming
        if arrival is not None:
            self._give_away(arrival)

    def _give_away(self, arrival: Arrival) -> None:
        self._incoming = None
        if self._gathered is not None:
            arrival.body = bytes(self._gathered)
            self._gathered = None
        self._take_on(arrival)

    def _feed(self, data: bytes) -> Refusal | None:
        try:
            if self._rest is None:
                self._parser.feed_data(data)
            else:
                self._parse_rest(self._rest, data)
        except httptools.HttpParserUpgrade as upgrade:  # asked for, and not done
            return self._feed_upgrading(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            return cause.refusal if isinstance(cause, Refused) else malformed("bad target")
        except httptools.HttpParserError as error:
            return malformed(str(error))
        return TOO_LARGE if self._framing > HEAD_BYTES + _READ_BYTES else None

    def _feed_upgrading(self, data: bytes) -> Refusal | None:
        assert self._incoming is not None
        headers = self._incoming.headers.items()
        try:
            self._parse_rest(BodyParser(headers, self.on_body, self._complete), data)
        except httptools.HttpParserError as error:
            return malformed(str(error))
        return None

    def _parse_rest(self, rest: BodyParser, data: bytes) -> None:
        rest.feed_data(data)
        self._rest = None if rest.done else rest
        if rest.overrun:
            self._last_request()

    def _await_body(self, arrival: Arrival) -> None:
        """See to a request whose body does not come along with its head."""
        size = len(arrival.body) if self._gathered is None else len(self._gathered)
        if self._asked:
            if size > self._allowed:
                self._give_away_unread(arrival)
            return
        self._asked = True
        self._allowed = self._shared.app.admits(arrival)
        if size > self._allowed:
            self._give_away_unread(arrival)
        elif self._active is None:
            self._prepare()

    def _give_away_unread(self, arrival: Arrival) -> None:
        arrival.unread = True
        self._give_away(arrival)

    def _prepare(self) -> None:
        """Begin to wait for the rest of what has come in behind the last answer."""
        arrival = self._incoming
        if arrival is None:
            self._hurry()
            return
        self._hurried = True
        self.deadline = self._loop.time() + self._shared.limits.body
        expects = arrival.headers.get(b"expect", b"").lower() == b"100-continue"
        if expects and arrival.chunked and not arrival.body:  # HTTP/1.0 does not know it
            self._write(_CONTINUE)

    def _refuse(self, refusal: Refusal) -> None:
        """Say why, unless an earlier answer is still on its way on this connection."""
        if self._active is None and not self._queue:
            self._hang_up(refusal)
        elif self._incoming is None and not self._queue:
            self._last_request()
        else:
            self._abandon()

    def _hang_up(self, refusal: Refusal) -> None:
        self._incoming = None
        self._send_refusal(refusal.status, refusal.body())

    def expire(self, now: float) -> None:
        """Do what has to be done at the deadline."""
        if self._deaf or self._transport.is_closing():
            self._close_by_force(now)
        elif self._head_open:
            self._hang_up(TOO_SLOW)
        elif self._incoming is not None:
            self._give_away_unread(self._incoming)
        else:
            self._close()


def _check_head(url: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    size = len(url) + sum(len(name) + len(value) + 4 for name, value in fields)
    if size > HEAD_BYTES or len(fields) > HEAD_FIELDS:
        raise Refused(TOO_LARGE)


def _target(url: bytes) -> tuple[str, bytes]:
    """Give path and query of a request's target."""
    if url.startswith(b"/") and not (b"?" in url or b"%" in url or b"#" in url):
        return url.decode("ascii"), b""
    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii")
    if "%" in path:
        path = urllib.parse.unquote(path)
    return path, parsed.query or b""
