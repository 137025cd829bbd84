"""HTTP/1.1 on a worker's connections: uvicorn's protocol, plus the limits it lacks.

llhttp (below httptools) refuses by itself what request smuggling lives on: Content-Length beside
Transfer-Encoding, duplicate or odd lengths, bare line feeds, folded headers, spaces before colons.
This adds who is too slow, who says too much, and answers in JSON.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import httptools
import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.server import ServerState

from lockgate.app.api.arrival import WHOLE
from lockgate.processes.upgrade import BodyParser

HEAD_SECONDS = 10.0
"""From the connection, or the first byte of a request, to the end of its headers."""
HEAD_BYTES = 65_536
"""Request line and headers."""
HEAD_FIELDS = 256
"""Number of headers."""
IDLE_SECONDS = 75
"""A kept-alive connection without a request."""
PIPELINED = 64
"""Requests that may wait behind the one being answered on the same connection."""
_LINGER_SECONDS = 2.0  # closing at once would reset the line before the client has read why
_READ_BYTES = 262_144  # the most an event loop hands over at once


class Refusal(msgspec.Struct, frozen=True):
    """Why a connection is not served any further."""

    status: int
    code: str
    message: str

    def response(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Write the whole HTTP response, *headers* included."""
        error = {
            "message": self.message,
            "type": "invalid_request_error",
            "param": None,
            "code": self.code,
        }
        body = msgspec.json.encode({"error": error})
        own = (
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        )
        lines = [b"%s: %s\r\n" % pair for pair in (*headers, *own)]
        return b"".join((STATUS_LINE[self.status], *lines, b"\r\n", body))


TOO_SLOW = Refusal(
    408, "request_timeout", f"The request's headers did not arrive within {HEAD_SECONDS:g} seconds."
)
TOO_LARGE = Refusal(
    431,
    "headers_too_large",
    f"Request line and headers may have {HEAD_BYTES} bytes and {HEAD_FIELDS} fields.",
)


VERSION = Refusal(
    505, "http_version", "Only HTTP/1.1 and HTTP/1.0 are spoken here; TLS and HTTP/2 end in front."
)
PIPELINE = Refusal(
    400, "bad_http", f"At most {PIPELINED} requests may be pipelined on one connection."
)


class Refused(Exception):
    """Raised inside the parser's callbacks to end a connection."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class StrictHttp(HttpToolsProtocol):
    """One connection.

    A timer runs whenever no request is being answered and bytes of the next have been asked for
    or begun; requests that arrive in one piece never start it.
    """

    head_seconds = HEAD_SECONDS

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._timer: asyncio.TimerHandle | None = None
        self._active: RequestResponseCycle | None = None  # `cycle` is the last one that came in
        self._rest: BodyParser | None = None
        self._head_open = False
        self._deaf = False
        self._chunk = 0
        self._framing = 0  # bytes since the head began or body was last seen; at most a chunk more

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(self.head_seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._abandon()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse *data*; whatever cannot be understood ends the connection with a reason."""
        if self._deaf:
            return
        self._unset_keepalive_if_required()
        self._chunk = len(data)
        self._framing += self._chunk
        refusal = self._feed(data)
        if refusal is not None:
            self._refuse(refusal)
        elif not self._answering():
            self._arm()
        elif self._timer is not None:
            self._disarm()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_open = True
        self._framing = self._chunk

    def on_headers_complete(self) -> None:
        if self._framing > HEAD_BYTES or len(self.headers) > HEAD_FIELDS:
            self._check_head()
        assert self.parser is not None
        if self.parser.get_http_version() not in {"1.1", "1.0"}:
            raise Refused(VERSION)
        if len(self.pipeline) >= PIPELINED:
            raise Refused(PIPELINE)
        super().on_headers_complete()
        if not self.pipeline:
            self._active = self.cycle
        self.headers = []  # the scope has them; trailers must not end up among them
        self._head_open = False
        self._framing = 0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Let the application answer; it finds the short way in the scope's extensions."""
        extensions: Any = {WHOLE: partial(self._whole, cycle)}  # of our own, so not in its type
        cycle.scope["extensions"] = extensions
        super()._start_asgi_task(cycle, app)

    def _whole(self, cycle: RequestResponseCycle, status: int, head: bytes, body: bytes) -> bool:
        """Give a whole response in one write; False if it must go the ordinary way.

        ASGI needs two messages for a response, and uvicorn a write for each; on small answers
        the second system call costs more than all of our own work on them.

        Args:
            cycle: What uvicorn knows of the request.
            status: The HTTP status.
            head: Header lines, each with its CRLF, `content-length` among them.
            body: Exactly as long as the head says.
        """
        if self.flow.write_paused or cycle.response_started or cycle.scope["method"] == "HEAD":
            return False
        if cycle.disconnected:
            return True
        cycle.response_started = cycle.response_complete = True
        lines = [STATUS_LINE[status], head]
        lines += [b"%b: %b\r\n" % pair for pair in cycle.default_headers]
        lines.append(b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n")
        lines.append(body)
        self.transport.write(b"".join(lines))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()
        return True

    def on_body(self, body: bytes) -> None:
        self._framing = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        assert self.parser is not None
        if not self.parser.should_upgrade():  # else the body, if any, is still to come
            super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.pipeline:
            self._active = self.pipeline[-1][0]
        super().on_response_complete()
        if self._head_open and not self._answering() and not self.transport.is_closing():
            self._arm()

    def _feed(self, data: bytes) -> Refusal | None:
        try:
            self._parse(data)
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            return cause.refusal if isinstance(cause, Refused) else _malformed("bad target")
        except httptools.HttpParserError as error:
            return _malformed(str(error))
        return TOO_LARGE if self._framing > HEAD_BYTES + _READ_BYTES else None

    def _parse(self, data: bytes) -> None:
        assert self.parser is not None
        if self._rest is not None:
            self._parse_rest(self._rest, data)
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:  # asked for, and not done
            headers = self.cycle.scope["headers"]
            rest = BodyParser(headers, self.on_body, super().on_message_complete)
            self._parse_rest(rest, data[upgrade.args[0] :])

    def _parse_rest(self, rest: BodyParser, data: bytes) -> None:
        rest.feed_data(data)
        self._rest = None if rest.done else rest
        if rest.overrun:
            self._last_request()

    def _check_head(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > HEAD_BYTES or len(self.headers) > HEAD_FIELDS:
            raise Refused(TOO_LARGE)

    def _answering(self) -> bool:
        return self._active is not None and not self._active.response_complete

    def _last_request(self) -> None:
        self._deaf = True
        if self._answering():
            self.cycle.keep_alive = False

    def _refuse(self, refusal: Refusal) -> None:
        """Say why, unless an earlier answer is still on its way on this connection."""
        if not self._answering():
            self._hang_up(refusal)
        elif self._active is self.cycle and not self.cycle.more_body:
            self._last_request()
        elif self._active is self.cycle and not self.cycle.response_started:
            self._hang_up(refusal)
        else:
            self._abandon()
            self.transport.close()

    def _hang_up(self, refusal: Refusal) -> None:
        self._abandon()
        self._deaf = True
        self._disarm()
        self.transport.write(refusal.response(self.server_state.default_headers))
        self.transport.write_eof()
        self._timer = self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    def _abandon(self) -> None:
        """Tell the application, if it works on an answer, that nobody will read it."""
        if self._active is not None:
            self._active.disconnected = True
            self._active.message_event.set()

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self._too_slow)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self._head_open:
            self._hang_up(TOO_SLOW)
        else:
            self.transport.close()


def _malformed(reason: str) -> Refusal:
    return Refusal(400, "bad_http", f"This is not a valid HTTP/1.1 request: {reason}.")
