"""One runner as a worker sees it: a connection that is made when needed, and who waits on it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final, Protocol, cast

import msgspec

from lockgate.ai.models import frames
from lockgate.core.clock import Clock
from lockgate.core.errors import BackendBroken, BackendBusy, BackendError, BackendGone

CONNECT_S: Final = 2.0
RETRY_S: Final = 0.25
"""While other replicas answer, one that could not be reached is left alone for so long."""
UNSENT: Final = 2 * frames.MAX_FRAME
"""Bytes that may wait for a runner that does not read."""


class Waiting(Protocol):
    """A caller's side of one ask."""

    def take(self, frame: frames.Reply | frames.Chunk | frames.End | frames.Fault) -> None:
        """Accept what the runner sent."""
        ...

    def fail(self, error: BackendError) -> None:
        """Accept that nothing more will come."""
        ...


class Line(asyncio.Protocol):
    """A connection to a runner; `load` counts the asks whose work has not ended there."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._transport: asyncio.WriteTransport | None = None
        self._unpacker = frames.Unpacker()
        self._asked: dict[int, Waiting | None] = {}
        self._last = 0
        self._broken = ""

    @property
    def open(self) -> bool:
        """The line can carry another ask."""
        return self._transport is not None

    @property
    def load(self) -> int:
        return len(self._asked)

    def ask(self, verb: frames.Verb, body: msgspec.Raw, deadline: float, waiting: Waiting) -> int:
        """Send an ask; give its number.

        Raises:
            BackendError: The line is cut, or the runner has long stopped reading.
            FrameTooLarge: *body* is more than the line carries.
        """
        packed = frames.pack(frames.Ask(self._last + 1, deadline, verb, body))
        if self._transport is None or self._transport.is_closing():
            raise BackendGone("the runner's line was cut", target=self._name)
        if self._transport.get_write_buffer_size() > UNSENT:
            raise BackendBusy("the runner does not take in what is sent", target=self._name)
        self._last += 1
        self._asked[self._last] = waiting
        self._transport.write(packed)
        return self._last

    def leave(self, number: int) -> None:
        """Stop waiting for an ask; it counts as load until the runner says that it has ended."""
        if self._transport is not None and self._asked.get(number) is not None:
            self._asked[number] = None
            self._transport.write(frames.pack(frames.Cancel(number)))

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop registers none

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._unpacker.feed(data):
                self._hand_out(frame)
        except frames.BadFrame as error:
            self._broken = str(error)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        asked, self._asked = self._asked, {}
        for waiting in asked.values():
            if waiting is not None:
                waiting.fail(self._cut(exc))

    def _cut(self, exc: Exception | None) -> BackendError:
        if self._broken:
            return BackendBroken(f"the runner's line: {self._broken}", target=self._name)
        error = BackendGone("the runner went away while it was answering", target=self._name)
        error.__cause__ = exc
        return error

    def _hand_out(self, frame: frames.Frame) -> None:
        if isinstance(frame, frames.Ask | frames.Cancel):
            raise frames.BadFrame("a runner does not ask")
        if isinstance(frame, frames.Chunk):
            waiting = self._asked.get(frame.id)
        else:
            waiting = self._asked.pop(frame.id, None)
        if waiting is not None:
            waiting.take(frame)


class Replica:
    """Where one runner listens, and the line to it while there is one."""

    def __init__(self, name: str, path: Path, clock: Clock) -> None:
        self._name = name
        self._path = path
        self._clock = clock
        self._line: Line | None = None
        self._retry_at = 0.0
        self.attempt: asyncio.Task[Line | None] | None = None
        self.trouble = "not tried yet"

    @property
    def line(self) -> Line | None:
        """The line, if it stands."""
        return self._line if self._line is not None and self._line.open else None

    def reach_out(self, *, urgent: bool) -> None:
        """Try to connect in the background, unless that is being done or has just failed."""
        if self.attempt is None and (urgent or self._clock.monotonic() >= self._retry_at):
            self.attempt = asyncio.get_running_loop().create_task(self._connect())

    async def close(self) -> None:
        """Hang up, and stop trying."""
        if self.attempt is not None:
            self.attempt.cancel()
            await asyncio.wait([self.attempt])
        if self._line is not None:
            self._line.close()

    async def _connect(self) -> Line | None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_S):
                _, line = await loop.create_unix_connection(
                    lambda: Line(self._name), str(self._path)
                )
        except OSError as error:
            self.trouble = f"{self._path.name}: {error.strerror or 'no answer'}"
            self._retry_at = self._clock.monotonic() + RETRY_S
            return None
        else:
            self._line = line
            return line
        finally:
            self.attempt = None
