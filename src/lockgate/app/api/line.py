"""An open event stream to one caller: frames, and a sign of life when there is nothing to say."""

from __future__ import annotations

import asyncio
from typing import Final

from lockgate.app.api.arrival import Arrival, Header

PING_S: Final = 15.0
"""Silence after which a comment is sent, before proxies on the way take the line for dead."""

_HEADERS: Final[tuple[Header, ...]] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
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

    async def open(self, headers: tuple[Header, ...]) -> None:
        """Send status and headers."""
        self._arrival.began = self._open = True
        request_id = (b"x-request-id", self._arrival.id.encode())
        await self._arrival.send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [*_HEADERS, request_id, *headers],
            }
        )
        self._timer = self._loop.call_later(self._ping_s, self._tick)

    async def put(self, frame: bytes) -> None:
        """Send one frame; wait while the caller does not read."""
        self.blocked = True
        await self._arrival.send({"type": "http.response.body", "body": frame, "more_body": True})
        self.blocked = False
        self._last = self._loop.time()

    async def close(self, frame: bytes) -> None:
        """Send the last frame and end the response."""
        self.drop()
        self.blocked = True
        await self._arrival.send({"type": "http.response.body", "body": frame, "more_body": False})
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
