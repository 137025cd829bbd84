"""A response that is read while it arrives, with a bounded buffer."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol, Self

from lockgate.core.errors import BackendError, BackendGone

HIGH_WATER = 65_536
"""Bytes that may lie unread before the peer is made to wait."""


class Source(Protocol):
    """The connection that a stream comes from, as far as the stream needs it."""

    def expect_by(self, due: float) -> None:
        """Fail unless the response is complete by *due*."""
        ...

    def abort(self) -> None:
        """Cut the connection."""
        ...


class Streamed:
    """A response whose body is still arriving: an async iterator of bytes.

    Reading slower than the peer sends fills `HIGH_WATER` bytes, then the peer is held back by TCP.

    Attributes:
        headers: Names are lower case.
    """

    __slots__ = (
        "_dropping", "_ended", "_error", "_parts", "_paused", "_size", "_source", "_transport",
        "_waiter", "headers", "status",
    )  # fmt: skip

    def __init__(
        self,
        status: int,
        headers: dict[bytes, bytes],
        source: Source,
        transport: asyncio.Transport,
    ) -> None:
        self.status = status
        self.headers = headers
        self._source = source
        self._transport = transport
        self._parts: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._dropping = False
        self._ended = False
        self._error: BackendError | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Give what has arrived, at least one byte.

        Raises:
            BackendError: The response broke off, or its time ran out.
        """
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            await self._arrival()
        part = self._parts.popleft()
        self._size -= len(part)
        if self._size < HIGH_WATER // 2:
            self._resume()
        return part

    def expect_by(self, due: float) -> None:
        """Fail unless the response is complete, or this is called again, by *due*."""
        if not self._ended:
            self._source.expect_by(due)

    async def read(self, limit: int) -> bytes:
        """Read the rest, at most *limit* bytes of it, e.g. an error's explanation."""
        parts: list[bytes] = []
        async for part in self:
            parts.append(part)
            limit -= len(part)
            if limit <= 0:
                break
        return b"".join(parts)

    async def aclose(self) -> None:
        """Stop reading; unless the response is complete, the connection is cut."""
        self.abandon()

    def abandon(self) -> None:
        """Do what `aclose` does, which has nothing to wait for."""
        self._parts.clear()
        if not self._ended:
            self.end(BackendGone("the stream was closed by its reader"))
            self._source.abort()

    def run_out(self, due: float) -> None:
        """Drop what is still to come; if it ends by *due*, the connection can be used again."""
        self._parts.clear()
        if not self._ended:
            self._dropping = True
            self._source.expect_by(due)
            self._resume()

    # ── what the connection calls ────────────────────────────────────────────────────────────

    def feed(self, part: bytes) -> None:
        """Take in the next bytes of the body."""
        if self._ended or self._dropping:
            return
        self._parts.append(part)
        self._size += len(part)
        if self._size > HIGH_WATER and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def end(self, error: BackendError | None) -> None:
        """Take note that no more will come; *error* is raised once everything has been read."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._resume()  # the connection may serve the next request
            self._wake()

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _arrival(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
