"""A bounded number of places, and a bounded queue for them.

One worker is one event loop, so counting needs no lock.
"""

from __future__ import annotations

import asyncio
from collections import deque

from lockgate.core.errors import DeadlineExceeded, Overloaded


class Places:
    """Let at most *limit* calls in at once and at most *queue* wait, first come first served."""

    __slots__ = ("_free", "_queue", "_service", "_waiting")

    def __init__(self, service: str, *, limit: int, queue: int) -> None:
        self._service = service
        self._free = limit
        self._queue = queue
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_now(self) -> bool:
        """Take a place if one is free and nobody waits for it."""
        if self._free > 0:
            self._free -= 1
            return True
        return False

    async def take(self, deadline: float) -> None:
        """Take a place, waiting for one until *deadline* (monotonic seconds).

        Raises:
            Overloaded: The queue is full.
            DeadlineExceeded: No place became free in time.
        """
        if self.take_now():
            return
        if len(self._waiting) >= self._queue:
            raise Overloaded(
                f"'{self._service}' has all its places taken and {self._queue} calls waiting",
                retry_after_s=1.0,
            )
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except TimeoutError as error:
            self._leave(turn)
            raise DeadlineExceeded(
                f"no place at '{self._service}' became free before the deadline"
            ) from error
        except asyncio.CancelledError:
            self._leave(turn)
            raise

    def give_back(self) -> None:
        """Give a place back; the first in the queue gets it."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _leave(self, turn: asyncio.Future[None]) -> None:
        """Stop waiting; a place that arrived at the same moment goes to the next."""
        if turn.done() and not turn.cancelled():
            self.give_back()
        elif turn in self._waiting:
            self._waiting.remove(turn)
