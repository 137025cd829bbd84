"""Keeps an eye on requests: a body that trickles in, a caller who hangs up.

All requests of a worker share one timer, which only runs while there are any. A request pays for
being put on the list; only one that is still unfinished after a moment gets a task that listens
for its caller's leaving.
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
    """Cancels one request's task when its caller leaves or its body does not come.

    Attributes:
        left: The caller hung up, and that is why the task was cancelled.
        late: The body did not arrive in time, and that is why.
    """

    __slots__ = ("_began", "_list", "_listener", "_reading", "_receive", "_task", "late", "left")

    def __init__(self, watches: set[Watch], receive: Receive, began: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._list = watches
        self._receive = receive
        self._began = began
        self._reading = True
        self._listener: asyncio.Task[None] | None = None
        self.left = False
        self.late = False

    def body_read(self) -> None:
        """Stop waiting for the body; from now on listen for the caller's leaving."""
        self._reading = False

    def stop(self) -> None:
        """Look away: the task is not cancelled any more."""
        self._list.discard(self)
        if self._listener is not None:
            self._listener.cancel()
            self._listener = None

    def caught(self) -> bool:
        """Say whether the cancellation that has just been raised was this watch's; absorb it."""
        if self.left or self.late:
            self._task.uncancel()
            return True
        return False

    def look(self, now: float, body_s: float) -> None:
        """See how the request is doing at *now*, loop seconds."""
        if not self._reading:
            if self._listener is None and now - self._began >= GRACE_S:
                self._listener = asyncio.get_running_loop().create_task(self._listen())
        elif now - self._began >= body_s:
            self.late = True
            self._list.discard(self)
            self._task.cancel()

    async def _listen(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left = True
        self._task.cancel()


class Watches:
    """All requests of this process that are being watched."""

    __slots__ = ("_active", "_body_s", "_timer")

    def __init__(self, body_s: float = BODY_S) -> None:
        self._active: set[Watch] = set()
        self._body_s = body_s
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, receive: Receive) -> Watch:
        """Watch the current task's request from now on."""
        loop = asyncio.get_running_loop()
        watch = Watch(self._active, receive, loop.time())
        self._active.add(watch)
        if self._timer is None:
            self._timer = loop.call_later(GRACE_S, self._tick, loop)
        return watch

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for watch in tuple(self._active):
            watch.look(now, self._body_s)
        self._timer = loop.call_later(GRACE_S, self._tick, loop) if self._active else None
