"""Writes that go out together.

A write to a socket wakes whoever reads at the other end, and on a loaded machine that costs more
than the bytes. What many calls have to say within one turn of the event loop is therefore written
in one go: the first write wakes the peer, the others find it awake. Nothing waits for more to say:
the turn that asked ends with the writing.
"""

from __future__ import annotations

import asyncio
from typing import Final

TOGETHER: Final = 32
"""Most writes that wait for one another, so that peers have work while we go on with ours."""


class Outbox:
    """Collects writes until the running turn of *loop* is over; for one event loop."""

    __slots__ = ("_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[asyncio.WriteTransport, bytes]] = []

    def post(self, transport: asyncio.WriteTransport, message: bytes) -> None:
        """Write *message* soon; `flush` before anything else is written to *transport*."""
        waiting = self._waiting
        if not waiting:
            self._loop.call_soon(self.flush)
        waiting.append((transport, message))
        if len(waiting) >= TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Write everything that waits, in the order it came; nothing to what was cut meanwhile."""
        waiting, self._waiting = self._waiting, []
        for transport, message in waiting:
            if not transport.is_closing():
                transport.write(message)
