"""Keeps an eye on one request: a body that trickles in, a caller who hangs up.

Fast requests pay one timer. Only what is still unfinished after a moment gets a task that
listens for the caller's leaving.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Event = MutableMapping[str, Any]
"""An ASGI event."""
Receive = Callable[[], Awaitable[Event]]
"""ASGI's way to the next event."""

GRACE_S: Final = 0.05
"""Before this nobody listens: most requests are over by then."""
BODY_S: Final = 30.0
"""A body that has not arrived by then does not come."""


class Watch:
    """Cancels the current task when its caller leaves or its body does not come.

    Attributes:
        left: The caller hung up, and that is why the task was cancelled.
        late: The body did not arrive in time, and that is why.
    """

    __slots__ = (
        "_listener",
        "_loop",
        "_patient",
        "_reading",
        "_receive",
        "_task",
        "_timer",
        "late",
        "left",
    )

    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._reading = True
        self._patient = False
        self._listener: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(GRACE_S, self._look)
        self.left = False
        self.late = False

    def body_read(self) -> None:
        """Stop waiting for the body; from now on listen for the caller's leaving."""
        self._reading = False
        if self._patient:
            self._timer.cancel()
            self._look()

    def stop(self) -> None:
        """Look away: the task is not cancelled any more."""
        self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()
            self._listener = None

    def caught(self) -> bool:
        """Say whether the cancellation that has just been raised was this watch's; absorb it."""
        if self.left or self.late:
            self._task.uncancel()
            return True
        return False

    def _look(self) -> None:
        if self._reading:
            self._patient = True
            self._timer = self._loop.call_later(BODY_S, self._give_up)
        else:
            self._listener = self._loop.create_task(self._listen())

    def _give_up(self) -> None:
        self.late = True
        self._task.cancel()

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left = True
        self._task.cancel()
