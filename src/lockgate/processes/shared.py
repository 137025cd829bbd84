"""What all connections of a worker share: the application, their limits, one clock."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final, Protocol

import msgspec

from lockgate.app.api.arrival import App
from lockgate.core.outbox import Outbox
from lockgate.processes.refusal import HEAD_SECONDS


class Limits(msgspec.Struct, frozen=True):
    """How long connections may take, seconds; kept to within a tick.

    Attributes:
        head: From the connection, or the first byte of a request, to the end of its headers.
        body: From there to the end of the body.
        idle: A kept-alive connection without a request.
        linger: Reading on after a refusal; closing at once would reset the line, and the caller's
            system would throw away the very response that explains it (RFC 9112, 9.6).
        tick: How often connections are looked at.
    """

    head: float = HEAD_SECONDS
    body: float = 30.0
    idle: float = 75.0
    linger: float = 2.0
    tick: float = 1.0


LIMITS: Final = Limits()


class Timed(Protocol):
    """A connection, as its clock sees it.

    Attributes:
        deadline: When its patience ends, in the loop's seconds.
    """

    deadline: float

    def expire(self, now: float) -> None:
        """Do what has to be done at the deadline."""
        ...

    def drain(self) -> None:
        """Close now, or once the requests that are here have been answered."""
        ...


class Shared:
    """The state of one worker's connections.

    A timer for each request would cost more than reading it, so one for all of them looks at the
    deadlines once a tick, and renews the `date` header.

    Attributes:
        tasks: At work on answers.
        heads: Status line and date by status, as far as they were needed since the last tick.
        outbox: Whole answers on their way out.
        draining: No connection is kept for another request.
    """

    __slots__ = (
        "_timer",
        "app",
        "connections",
        "draining",
        "heads",
        "limits",
        "loop",
        "outbox",
        "tasks",
    )

    def __init__(self, app: App, limits: Limits = LIMITS) -> None:
        self.app = app
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self.connections: set[Timed] = set()
        self.tasks: set[asyncio.Task[Any]] = set()
        self.heads: dict[int, bytes] = {}
        self.outbox = Outbox(self.loop)
        self.draining = False
        self._timer = self.loop.call_later(limits.tick, self._tick)

    def head(self, status: int) -> bytes:
        """Write status line and date."""
        date = formatdate(usegmt=True).encode()
        phrase = HTTPStatus(status).phrase.encode()
        head = self.heads[status] = b"HTTP/1.1 %d %b\r\ndate: %b\r\n" % (status, phrase, date)
        return head

    def drain(self) -> None:
        """Let every connection go, those with an answer under way after it."""
        self.draining = True
        for connection in tuple(self.connections):
            connection.drain()

    def stop(self) -> None:
        """Look at the clock no more."""
        self._timer.cancel()

    def _tick(self) -> None:
        self._timer = self.loop.call_later(self.limits.tick, self._tick)
        self.heads.clear()
        now = self.loop.time()
        for connection in tuple(self.connections):
            if connection.deadline <= now:
                connection.expire(now)
