"""A caller's side of one ask: waiting for a whole reply, or for its pieces."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from lockgate.ai.models import frames
from lockgate.core.errors import (
    BackendBroken,
    BackendBusy,
    BackendError,
    BackendGone,
    BackendRejected,
    BackendTimeout,
    InputRejected,
)
from lockgate.core.payload import ChatChunk

BUFFERED: Final = 8_000_000
"""Characters of a stream kept for a caller that reads too slowly, before it is given up."""
_ERRORS: Final = {
    kind.code: kind
    for kind in (
        BackendBroken,
        BackendBusy,
        BackendGone,
        BackendRejected,
        BackendTimeout,
        InputRejected,
    )
}


class Whole:
    """Waits for one reply."""

    __slots__ = ("_name", "reply")

    def __init__(self, name: str) -> None:
        self._name = name
        self.reply: asyncio.Future[frames.Reply] = asyncio.get_running_loop().create_future()

    def take(self, frame: frames.Reply | frames.Chunk | frames.End | frames.Fault) -> None:
        if isinstance(frame, frames.Reply):
            if not self.reply.done():
                self.reply.set_result(frame)
        else:
            self.fail(_error_of(frame, self._name))

    def fail(self, error: BackendError) -> None:
        if not self.reply.done():
            self.reply.set_exception(error)

    def expire(self) -> None:
        """Give up: the time is over."""
        self.fail(_late(self._name))


class Pieces:
    """A streamed answer: iterate it, or `aclose` it to stop the runner.

    It ends normally only if the runner said that the answer is complete.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._chunks: deque[ChatChunk] = deque()
        self._buffered = 0
        self._given = False
        self._ended = False
        self._error: BackendError | None = None
        self._news = asyncio.Event()
        self._leave: Callable[[], object] = _stay

    def attach(self, leave: Callable[[], object]) -> None:
        """Say how to tell the runner that nobody waits any more."""
        self._leave = leave

    async def begun(self) -> None:
        """Wait for the first piece, or for the end of an answer without any.

        Raises:
            BackendError: There will be none.
        """
        await self._news.wait()
        if self._error is not None and not self._chunks:
            raise self._error

    def take(self, frame: frames.Reply | frames.Chunk | frames.End | frames.Fault) -> None:
        if isinstance(frame, frames.Chunk):
            self._add(frame.text)
        elif isinstance(frame, frames.End):
            self._chunks.append(ChatChunk(finish_reason="stop"))
            self._end()
        else:
            self.fail(_error_of(frame, self._name))

    def fail(self, error: BackendError) -> None:
        if not self._ended:
            self._error = error
            self._end()

    def expire(self) -> None:
        """Give up: the time is over."""
        self.fail(_late(self._name))

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> ChatChunk:
        await self._news.wait()
        if self._chunks:
            return self._next()
        if self._error is None:
            raise StopAsyncIteration
        error, self._error = self._error, None
        error.after_output = self._given
        raise error

    async def aclose(self) -> None:
        """Stop: the runner is told, and what it still sends is dropped."""
        self._chunks.clear()
        self._error = None
        self._end()

    def _add(self, text: str) -> None:
        if self._ended:
            return
        self._chunks.append(ChatChunk(text=text))
        self._buffered += len(text)
        self._news.set()
        if self._buffered > BUFFERED:
            message = f"more than {BUFFERED:,} characters wait for a caller that does not read them"
            self.fail(BackendBroken(message, target=self._name))

    def _next(self) -> ChatChunk:
        chunk = self._chunks.popleft()
        self._given = True
        self._buffered -= len(chunk.text)
        if not self._chunks and not self._ended:
            self._news.clear()
        return chunk

    def _end(self) -> None:
        self._ended = True
        self._news.set()
        leave, self._leave = self._leave, _stay
        leave()


def _stay() -> None:
    """Do nothing: there is nobody to tell."""


def _late(name: str) -> BackendTimeout:
    return BackendTimeout("the runner did not answer in time", target=name)


def _error_of(
    frame: frames.Reply | frames.Chunk | frames.End | frames.Fault, name: str
) -> BackendError:
    if isinstance(frame, frames.Fault):
        kind = _ERRORS.get(frame.code, BackendBroken)
        return kind(frame.message, said=frame.said, target=name)
    return BackendBroken("the runner answered in another form than it was asked for", target=name)
