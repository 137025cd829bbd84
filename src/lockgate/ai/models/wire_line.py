"""One connection of a wire: bytes out, one response at a time back in.

The C parser `httptools` (llhttp, strict) reads; this protocol keeps its books. Nothing here waits:
a request is one write and one future, so that it costs microseconds.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol, cast

import httptools

from lockgate.ai.models.wire_response import MAX_HEAD, Pairs, Response, Stale, joined, until_eof
from lockgate.ai.models.wire_stream import Streamed
from lockgate.core.errors import BackendBroken, BackendError, BackendGone, BackendTimeout
from lockgate.core.outbox import Outbox

IDLE_SECONDS = 60.0
"""How long an unused connection is kept; middleboxes forget them silently after minutes."""
_TIMER_GRAIN = 0.001  # uvloop's timers have whole milliseconds


class Owner(Protocol):
    """Whoever keeps the lines."""

    def freed(self, line: Line) -> None:
        """Take *line* back: its response is complete and it can be used again."""
        ...

    def lost(self, line: Line) -> None:
        """Forget *line*: it is closed."""
        ...


class Line(asyncio.Protocol):
    """A connection, between requests (`_waiter` and `_stream` None) or with one in flight.

    Attributes:
        closing: No further request may use it.
    """

    __slots__ = (
        "_alarm", "_body", "_complete", "_deadline", "_due", "_head_done", "_head_size",
        "_headers", "_keep", "_loop", "_max_body", "_outbox", "_owner", "_pairs", "_parser",
        "_quiet", "_received", "_reused", "_rings", "_size", "_status", "_stream", "_transport",
        "_waiter", "_wants_stream", "closing", "peer",
    )  # fmt: skip

    _parser: httptools.HttpResponseParser

    def __init__(self, peer: str, max_body: int, outbox: Outbox) -> None:
        self.peer = peer
        self._outbox = outbox
        self.closing = False
        self._max_body = max_body
        self._loop = asyncio.get_running_loop()
        self._owner: Owner | None = None
        self._transport: asyncio.Transport | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._due = self._rings = 0.0
        self._reused = False
        self._received = False
        self._complete = True
        self._parser = httptools.HttpResponseParser(self)
        self._clear()
        self._waiter: asyncio.Future[Response | Streamed] | None = None
        self._stream: Streamed | None = None

    # ── what the wire calls ──────────────────────────────────────────────────────────────────

    def belong(self, owner: Owner) -> None:
        """Report to *owner* from now on."""
        self._owner = owner

    def ask(
        self, request: bytes, deadline: float, first_byte: float | None, *, stream: bool
    ) -> asyncio.Future[Response | Streamed]:
        """Write *request*; the future gives the whole response.

        With *stream*, it gives a stream as soon as the head has arrived. It fails with `Stale`
        where a connection that has been used before is closed without a byte of a response.
        """
        self._clear()
        waiter: asyncio.Future[Response | Streamed] = self._loop.create_future()
        if self.closing or self._transport is None:
            waiter.set_exception(self._cut(None))
            return waiter
        self._wants_stream = stream
        self._complete = False
        self._deadline = deadline
        self.expect_by(deadline if first_byte is None else min(first_byte, deadline))
        self._waiter = waiter
        self._outbox.post(self._transport, request)
        return waiter

    def rest(self) -> None:
        """Lie idle for a while, as after a response."""
        self._reused = True
        self.expect_by(time.monotonic() + IDLE_SECONDS)

    def expect_by(self, due: float) -> None:
        """Fail the response unless it is complete by *due*, monotonic seconds."""
        self._due = due
        if self._alarm is None:
            self._arm()
        elif due < self._rings:
            self._alarm.cancel()
            self._arm()

    def give_up(self, waiter: asyncio.Future[Response | Streamed]) -> None:
        """Cut the connection if *waiter*'s request still has it; nobody waits for it any more."""
        if self._waiter is waiter:
            self.abort()
        elif not waiter.cancelled() and waiter.exception() is None:
            result = waiter.result()
            if isinstance(result, Streamed):
                result.abandon()

    def abort(self) -> None:
        """Cut the connection now; the peer sees it at once."""
        self.closing = True
        if self._transport is not None:
            self._transport.abort()

    # ── what the event loop calls ────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._complete:  # between requests nothing may come: a peer that talks then is broken
            self.abort()
            return
        self._received = True
        self._quiet += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._unreadable(error)
        if self._complete:
            self._finish()
        elif self._quiet > MAX_HEAD:
            self._fail(BackendBroken(f"{self.peer} sent more than {MAX_HEAD} bytes of headers"))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        if self._alarm is not None:
            self._alarm.cancel()
        if not self._complete:
            if exc is None and self._head_done and until_eof(self._headers):
                self._keep = False
                self.on_message_complete()
                self._finish()
            else:
                self._fail(self._cut(exc))
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.lost(self)

    # ── what the parser calls ────────────────────────────────────────────────────────────────

    def on_message_begin(self) -> None:
        if self._complete:
            raise BackendBroken(f"{self.peer} sent more than one response")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_done:  # trailers are read and dropped: nothing that Lockgate knows uses them
            self._require_size([(name, value)])
        else:
            self._pairs.append((name, value))

    def on_headers_complete(self) -> None:
        if self._quiet > MAX_HEAD:  # else the head cannot be too large either
            self._require_size(self._pairs)
        status = self._parser.get_status_code()
        self._status = status
        if status < 200:
            self._interim(status)
            return
        self._headers = joined(self._pairs)
        self._head_done = True
        self._quiet = 0
        self._due = self._deadline
        if self._wants_stream:
            self._open_stream(status)

    def on_body(self, body: bytes) -> None:
        self._quiet = 0
        if self._stream is not None:
            self._stream.feed(body)
            return
        self._size += len(body)
        if self._size > self._max_body:
            raise BackendBroken(f"{self.peer} sent an answer of more than {self._max_body} bytes")
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._head_done:
            self._complete = True
            self._keep = self._keep and self._parser.should_keep_alive()

    # ── inside ─────────────────────────────────────────────────────────────────────────────

    def _clear(self) -> None:
        self._received = self._head_done = self._wants_stream = False
        self._keep = True
        self._status = self._size = self._quiet = self._head_size = 0
        self._headers: dict[bytes, bytes] = {}
        self._pairs: Pairs = []
        self._body: list[bytes] = []
        self._deadline = 0.0

    def _interim(self, status: int) -> None:
        """Pass over 100 Continue and 103 Early Hints; nothing else may come before the answer."""
        if status == 101:
            raise BackendBroken(f"{self.peer} switched to another protocol without being asked")
        self._pairs = []

    def _require_size(self, pairs: Pairs) -> None:
        self._head_size += sum(len(name) + len(value) + 4 for name, value in pairs)
        if self._head_size > MAX_HEAD:
            raise BackendBroken(f"{self.peer} sent more than {MAX_HEAD} bytes of headers")

    def _open_stream(self, status: int) -> None:
        assert self._transport is not None
        stream = Streamed(status, self._headers, self, self._transport)
        self._stream = stream
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(stream)
        else:
            stream.abandon()  # cancelled in this very moment; nobody would ever read it

    def _finish(self) -> None:
        """Hand the complete response over and go back to the owner, in this order."""
        waiter, self._waiter = self._waiter, None
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.end(None)
        elif waiter is not None and not waiter.done():
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            waiter.set_result(Response(self._status, self._headers, body))
        if self._keep and not self.closing and self._owner is not None:
            self.rest()
            self._owner.freed(self)
        else:
            self.abort()

    def _fail(self, error: BackendError) -> None:
        waiter, self._waiter = self._waiter, None
        stream, self._stream = self._stream, None
        self._complete = True
        if stream is not None:
            stream.end(error)
        elif waiter is not None and not waiter.done():
            waiter.set_exception(error)
        self.abort()

    def _unreadable(self, error: Exception) -> None:
        """Fail on bytes the parser refused; after a whole response they only cost the line."""
        self._keep = False
        if self._complete:
            return
        own = error.__context__
        self._fail(
            own
            if isinstance(own, BackendError)
            else BackendBroken(f"{self.peer} does not speak HTTP/1.1: {error}")
        )

    def _cut(self, exc: Exception | None) -> BackendGone:
        how = "was closed" if exc is None else f"broke ({exc})"
        if self._reused and not self._received:
            return Stale(f"the idle connection to {self.peer} {how}")
        when = "in the middle of an answer" if self._received else "before any answer"
        return BackendGone(f"the connection to {self.peer} {how} {when}")

    def _arm(self) -> None:
        self._rings = self._due
        delay = max(0.0, self._due - time.monotonic())
        self._alarm = self._loop.call_later(delay, self._ring)

    def _ring(self) -> None:
        """Act on the time that is due now; it may have moved since the timer was set.

        One timer per connection that is set anew when it rings costs nothing per request.
        """
        self._alarm = None
        if self._due - time.monotonic() > _TIMER_GRAIN:
            self._arm()
        elif self._complete:
            self.abort()
        else:
            what = "the rest of its answer" if self._received else "an answer"
            self._fail(BackendTimeout(f"{self.peer} did not give {what} in time"))
