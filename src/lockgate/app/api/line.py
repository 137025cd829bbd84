"""An open event stream to one caller: frames, and a sign of life when there is nothing to say."""

from __future__ import annotations

import asyncio
from typing import Final

from lockgate.app.api.arrival import Arrival

PING_S: Final = 15.0
"""Silence after which a comment is sent, before proxies on the way take the line for dead."""

_HEADERS: Final = (
    b"content-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\n"
    b"x-accel-buffering: no\r\n"
    b"x-request-id: %b\r\n"
    b"%b"
)


class Line:
    """Sends frames to one caller, no faster than the caller reads.

    Attributes:
        blocked: A frame is waiting for the caller to read.
    """

    __slots__ = ("_arrival", "_last", "_loop", "_open", "_ping", "_ping_s", "_timer", "blocked")

    def __init__(self, arrival: Arrival, ping_s: float = PING_S) -> None:
        self._arrival = arrival
        self._ping_s = ping_s
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._ping: asyncio.Task[None] | None = None
        self._open = False
        self.blocked = False

    def open(self, headers: bytes) -> None:
        """Send status and headers."""
        arrival = self._arrival
        arrival.began = self._open = True
        arrival.channel.begin(arrival, _HEADERS % (arrival.id.encode(), headers))
        self._timer = self._loop.call_later(self._ping_s, self._tick)

    async def put(self, frame: bytes) -> None:
        """Send one frame; wait while the caller does not read."""
        self.blocked = True
        await self._arrival.channel.write(self._arrival, frame)
        self.blocked = False
        self._last = self._loop.time()

    async def close(self, frame: bytes) -> None:
        """Send the last frame and end the response."""
        self.drop()
        self.blocked = True
        await self._arrival.channel.end(self._arrival, frame)
        self.blocked = False

    def drop(self) -> None:
        """Send nothing more."""
        self._open = False
        if self._timer is not None:
            self._timer.cancel()
        if self._ping is not None:
            self._ping.cancel()

    def _tick(self) -> None:
        quiet = self._loop.time() - self._last
        if quiet >= self._ping_s and not self.blocked:
            self._ping = self._loop.create_task(self._send_ping())
            quiet = 0.0
        self._timer = self._loop.call_later(max(self._ping_s - quiet, 0.0), self._tick)

    async def _send_ping(self) -> None:
        if self._open:
            await self.put(b": ping\n\n")
