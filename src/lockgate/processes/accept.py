"""Accepting connections, one at a time.

libuv takes all that wait at once, so of a burst one worker got 57 of 64 connections and kept them;
taken one by one, whoever is idle comes first. And when there is no file descriptor left, libuv
takes those that wait only to close them; here they wait until there is room.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections.abc import Callable

_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_REST_SECONDS = 0.5  # how long to leave new connections waiting when there is no room for them


class Doorkeeper:
    """Accepts connections from a socket, which other processes may accept from, too."""

    def __init__(self, door: socket.socket, protocol: Callable[[], asyncio.Protocol]) -> None:
        self._loop = asyncio.get_running_loop()
        self._door = door
        self._protocol = protocol
        self._rest: asyncio.TimerHandle | None = None
        self._arriving: set[asyncio.Task[object]] = set()
        door.setblocking(False)  # noqa: FBT003 — the standard library's own signature
        self._open()

    async def close(self) -> None:
        """Close the socket; return when every accepted connection is in its protocol's hands."""
        self._loop.remove_reader(self._door)
        if self._rest is not None:
            self._rest.cancel()
        self._door.close()
        if self._arriving:
            await asyncio.wait(self._arriving)

    def _open(self) -> None:
        self._loop.add_reader(self._door, self._accept)

    def _accept(self) -> None:
        try:
            line, _ = self._door.accept()
        except OSError as error:
            if error.errno in _NO_ROOM:
                self._pause(error)
            return  # otherwise another worker was quicker, or the caller has left again
        line.setblocking(False)  # noqa: FBT003
        task = self._loop.create_task(self._hand_over(line))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    async def _hand_over(self, line: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, line)
        except OSError:  # the caller has left again
            line.close()

    def _pause(self, error: OSError) -> None:
        """Let connections wait in the queue rather than spin: the socket stays readable."""
        print(f"new connections have to wait: {error.strerror}", file=sys.stderr, flush=True)  # noqa: T201
        self._loop.remove_reader(self._door)
        self._rest = self._loop.call_later(_REST_SECONDS, self._open)
