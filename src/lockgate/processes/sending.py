"""What goes out on a connection: answers, one after the other, and its end."""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf
from typing import Final, cast

from lockgate.app.api.arrival import Arrival, Response
from lockgate.processes.shared import Shared

LINGER_BYTES: Final = 64_000_000
"""The most that is swallowed after a refusal."""

_HEAD: Final = b"%bcontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n%b%b%b"
_KEEP: Final = b"\r\n"
_CLOSE: Final = b"connection: close\r\n\r\n"


class Sending(asyncio.Protocol):
    """Lets the application answer the requests of a connection in their order.

    Attributes:
        deadline: When its patience ends, in the loop's seconds; never while it answers.
    """

    __slots__ = (
        "_active",
        "_at_work",
        "_backlog",
        "_deaf",
        "_head_open",
        "_hurried",
        "_loop",
        "_lost",
        "_mid",
        "_queue",
        "_readable",
        "_shared",
        "_swallowed",
        "_task",
        "_transport",
        "_waker",
        "_writable",
        "deadline",
    )

    _transport: asyncio.Transport

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._loop = shared.loop
        self._active: Arrival | None = None  # the one that is being answered
        self._queue: deque[Arrival] = deque()
        self._task: asyncio.Task[None] | None = None  # works for all requests of the connection
        self._at_work: Arrival | None = None  # of them, the one it is busy with
        self._waker: asyncio.Future[None] | None = None  # it waits for this when there is none
        self._lost = False
        self._writable: asyncio.Event | None = None  # set once the caller reads on; None if now
        self._readable = True
        self._hurried = False  # the deadline is for something that has been begun
        self._head_open = False  # the rest of a head is still to come
        self._mid = False  # the rest of a body is
        self._deaf = False  # nothing that comes in is looked at any more
        self._swallowed = 0
        self._backlog = 0
        self.deadline = inf

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin: called by the event loop."""
        self._transport = cast("asyncio.Transport", transport)
        self._hurry()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 — asyncio names it
        """Cancel the work on an answer that nobody will read: called by the event loop."""
        self._deaf = self._lost = True
        self._forget()
        self.resume_writing()
        self._wake()

    def pause_writing(self) -> None:
        """Hold streams back: called by the event loop."""
        self._writable = asyncio.Event()

    def resume_writing(self) -> None:
        """Let streams go on: called by the event loop."""
        if self._writable is not None:
            self._writable.set()
            self._writable = None
        if self._queue and self._active is None:
            self._next()

    # What the application calls, through `Arrival`.

    def send(self, arrival: Arrival, response: Response, *, closing: bool) -> None:
        """Write a whole response at once; if *closing*, the connection ends with it."""
        if arrival is not self._active:
            return
        status, body, content_type, lines = response
        shared = self._shared
        keep = arrival.keep_alive and not (closing or self._draining())
        head = shared.heads.get(status) or shared.head(status)
        message = _HEAD % (
            head,
            content_type,
            len(body),
            arrival.id.encode(),
            lines,
            _KEEP if keep else _CLOSE,
            b"" if arrival.method == "HEAD" else body,
        )
        if keep and not self._queue:
            shared.outbox.post(self._transport, message)
        else:
            self._write(message)
        self._answered(keep=keep, closing=closing)

    def begin(self, arrival: Arrival, head: bytes) -> None:
        """Write the head of a stream with status 200: *head*, and how it is framed."""
        if arrival is not self._active:
            return
        arrival.keep_alive = arrival.keep_alive and not self._draining()
        framing = b"transfer-encoding: chunked\r\n" if arrival.chunked else b""
        first = self._shared.heads.get(200) or self._shared.head(200)
        end = _KEEP if arrival.keep_alive else _CLOSE
        self._write(b"".join((first, head, framing, end)))

    async def write(self, arrival: Arrival, piece: bytes) -> None:
        """Write a piece of a stream, as soon as the caller has read enough of the last ones."""
        if self._writable is not None:
            await self._writable.wait()
        if arrival is self._active:
            self._transport.write(_framed(arrival, piece))

    async def end(self, arrival: Arrival, piece: bytes) -> None:
        """Write the last piece of a stream."""
        if self._writable is not None:
            await self._writable.wait()
        if arrival is self._active:
            last = b"0\r\n\r\n" if arrival.chunked else b""
            self._transport.write(_framed(arrival, piece) + last)
            self._answered(keep=arrival.keep_alive and not self._draining())

    def _write(self, message: bytes) -> None:
        """Write at once, behind whatever waits in the outbox."""
        self._shared.outbox.flush()
        self._transport.write(message)

    # One request after the other.

    def _take_on(self, arrival: Arrival) -> None:
        if self._active is None and self._writable is None:
            self._start(arrival)
        else:
            self._queue.append(arrival)
            if self._readable:
                self._transport.pause_reading()
                self._readable = False

    def _start(self, arrival: Arrival) -> None:
        self._active = arrival
        self._hurried = False
        self.deadline = inf
        if self._task is None:
            self._task = asyncio.Task(self._work(), loop=self._loop, name="connection")
            self._shared.tasks.add(self._task)
            self._task.add_done_callback(self._shared.tasks.discard)
        else:
            self._wake()

    async def _work(self) -> None:
        """Answer one request after the other; a task for each would cost 3 µs more."""
        app = self._shared.app
        try:
            while not self._lost:
                arrival = self._at_work = self._active
                if arrival is None:
                    self._waker = self._loop.create_future()
                    await self._waker
                    continue
                await app(arrival)
                if self._active is arrival:  # without a whole answer: a cut line tells the caller
                    break
        finally:
            if self._active is not None:
                self._active = None
                self._close()

    def _wake(self) -> None:
        waker, self._waker = self._waker, None
        if waker is not None and not waker.done():
            waker.set_result(None)

    def _answered(self, *, keep: bool, closing: bool = False) -> None:
        self._active = None
        if closing:
            self._linger()
        elif not keep:
            self._close()
        elif self._queue and self._writable is None:
            self._next()
        elif self._mid or self._head_open:
            self._prepare()
        else:
            self._hurried = False
            self.deadline = self._loop.time() + self._shared.limits.idle

    def _next(self) -> None:
        self._start(self._queue.popleft())
        if not self._queue and not self._transport.is_closing():
            self._transport.resume_reading()
            self._readable = True

    def _prepare(self) -> None:
        """Begin to wait for the rest of what has come in behind the last answer."""
        self._hurry()

    def _hurry(self) -> None:
        """Begin to wait for a head, or for the rest of a body that nobody will look at."""
        self._hurried = True
        self.deadline = self._loop.time() + self._shared.limits.head

    # The end.

    def drain(self) -> None:
        """Close now, or once the requests that are here have been answered."""
        if self._active is None and not self._queue and not self._mid:
            self._close()

    def _draining(self) -> bool:
        """Say whether the answer under way is to be the last."""
        return self._shared.draining and not self._queue

    def _last_request(self) -> None:
        """Look at nothing that comes after the requests that are here."""
        self._deaf = True
        last = self._queue[-1] if self._queue else self._active
        if last is not None:
            last.keep_alive = False

    def _send_refusal(self, status: int, body: bytes) -> None:
        head = self._shared.heads.get(status) or self._shared.head(status)
        kind = b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
        self._write(b"".join((head, kind, _CLOSE, body)))
        self._linger()

    def _linger(self) -> None:
        """Read on for a moment before closing: see `Limits.linger`."""
        self._deaf = True
        self._queue.clear()
        if not self._transport.is_closing():
            self._transport.write_eof()
            self.deadline = self._loop.time() + self._shared.limits.linger

    def _swallow(self, size: int) -> None:
        self._swallowed += size
        if self._swallowed > LINGER_BYTES:
            self._abandon()

    def _abandon(self) -> None:
        self._forget()
        self._close()

    def _forget(self) -> None:
        """Give up the answer under way and all that wait; an answer already decided is kept."""
        self._queue.clear()
        active, self._active = self._active, None
        if active is None:
            return
        active.left = True
        if self._task is not None and active is self._at_work and not active.settled:
            self._task.cancel()

    def _close(self) -> None:
        """Close once everything is sent; by force if the caller does not read it."""
        self._deaf = True
        self._queue.clear()
        self._shared.outbox.flush()
        self._backlog = self._transport.get_write_buffer_size()
        self.deadline = self._loop.time() + self._shared.limits.idle
        self._transport.close()

    def _close_by_force(self, now: float) -> None:
        left = self._transport.get_write_buffer_size()
        if 0 < left < self._backlog:
            self._backlog = left
            self.deadline = now + self._shared.limits.idle
        else:
            self._transport.abort()


def _framed(arrival: Arrival, piece: bytes) -> bytes:
    if not arrival.chunked or not piece:
        return piece
    return b"%x\r\n%b\r\n" % (len(piece), piece)
