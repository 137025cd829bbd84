"""A worker's server: opens connections on a listening socket, and ends in order."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Final

from lockgate.app.api.arrival import App
from lockgate.processes.accept import Doorkeeper
from lockgate.processes.http import Connection
from lockgate.processes.shared import LIMITS, Limits, Shared

_LOOK_S: Final = 0.05
_LAST_WORDS_S: Final = 2.0


class Server:
    """Serves an application until it is asked to drain.

    Make it in a running event loop.
    """

    def __init__(self, app: App, limits: Limits = LIMITS, *, grace: float = 20.0) -> None:
        """Prepare to serve.

        Args:
            app: Answers the requests.
            limits: How long connections may take.
            grace: How long answers under way may take when draining, seconds.
        """
        self._shared = Shared(app, limits)
        self._grace = grace
        self._stop = asyncio.Event()
        self._at_once = asyncio.Event()
        self._keeper: Doorkeeper | None = None

    def open(self, door: socket.socket) -> None:
        """Begin to accept connections from *door*, which is closed when draining."""
        self._keeper = Doorkeeper(door, lambda: Connection(self._shared))

    def drain(self) -> None:
        """Stop accepting and finish what is in flight; asked twice, stop at once."""
        if self._stop.is_set():
            self._at_once.set()
        self._stop.set()

    async def serve(self) -> None:
        """Serve until asked to drain, then do; every task has ended when this returns."""
        await self._stop.wait()
        self._shared.draining = True
        if self._keeper is not None:
            await self._keeper.close()
        self._shared.drain()
        try:
            async with asyncio.timeout(self._grace):
                while self._busy():  # noqa: ASYNC110 — an event would cost every call a look
                    await asyncio.sleep(_LOOK_S)
        except TimeoutError:
            self._complain()
        await self._cut_short()
        self._shared.stop()

    def _busy(self) -> bool:
        shared = self._shared
        return bool(shared.connections or shared.tasks) and not self._at_once.is_set()

    def _complain(self) -> None:
        tasks = len(self._shared.tasks)
        print(f"{tasks} calls took longer than {self._grace:g} s to end", file=sys.stderr)  # noqa: T201

    async def _cut_short(self) -> None:
        tasks = tuple(self._shared.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_LAST_WORDS_S)
