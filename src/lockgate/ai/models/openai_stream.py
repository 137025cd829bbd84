"""A chat completion that is read while the upstream writes it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Self

import msgspec

from lockgate.ai.models.openai_ask import Dialect
from lockgate.ai.models.openai_failure import failure
from lockgate.ai.models.openai_reply import Piece, read_chunk
from lockgate.ai.models.sse import EventParser
from lockgate.ai.models.wire_stream import Streamed
from lockgate.core.errors import BackendBroken, BackendError, BackendGone
from lockgate.core.payload import ChatChunk

Blame = Callable[[BackendError], None]
"""Says in an error who failed, and takes secrets out of it."""
Clean = Callable[[bytes], bytes]
"""Takes secrets out of bytes."""
_HELD_CHUNKS = 64
"""Chunks without any output that are held back at most before the stream counts as begun."""
_EXPLANATION_BYTES = 65_536
_DRAIN_SECONDS = 1.0


class Reading(msgspec.Struct, frozen=True):
    """How the chunks of a stream are to be read.

    Attributes:
        keep_logprobs: The caller wants them.
        clean: Applied to each event, if there is something to take out.
    """

    dialect: Dialect
    keep_logprobs: bool
    clean: Clean | None = None


class CompletionStream:
    """The chunks of one completion.

    Complete means: the upstream gave a `finish_reason` and then `[DONE]`, or ended its response
    properly. Anything else raises, with `after_output` set once `open` has returned.
    """

    __slots__ = ("_begun", "_blame", "_done", "_events", "_finished", "_reading", "_ready",
                 "_streamed")  # fmt: skip

    def __init__(self, streamed: Streamed, reading: Reading, blame: Blame) -> None:
        self._streamed = streamed
        self._blame = blame
        self._reading = reading
        self._events = EventParser()
        self._ready: deque[ChatChunk] = deque()
        self._begun = self._finished = self._done = False

    async def open(self, deadline: float, first_output: float | None) -> None:
        """Wait for the first real output; what came before it is kept for the reader.

        Raises:
            BackendError: There is none, so another target can still be asked.
        """
        try:
            self._streamed.expect_by(
                deadline if first_output is None else min(first_output, deadline)
            )
            await self._require_events()
            while not self._begun:
                await self._advance()
        except BaseException:
            await self.aclose()
            raise
        self._streamed.expect_by(deadline)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatChunk:
        """Give the next chunk.

        Raises:
            BackendError: The upstream did not complete its answer.
        """
        try:
            while not self._ready:
                if self._done:
                    raise StopAsyncIteration
                await self._advance()
        except BackendError as error:
            await self.aclose()
            error.after_output = True
            self._blame(error)
            raise
        return self._ready.popleft()

    async def aclose(self) -> None:
        """Stop; the upstream sees its connection cut unless it had said everything."""
        self._ready.clear()
        if not self._done:
            self._done = True
            await self._streamed.aclose()

    async def _require_events(self) -> None:
        status = self._streamed.status
        if not 200 <= status < 300:
            explanation = await self._streamed.read(_EXPLANATION_BYTES)
            raise failure(status, self._streamed.headers, explanation)
        kind = self._streamed.headers.get(b"content-type", b"")
        if not kind.lower().startswith(b"text/event-stream"):
            raise BackendBroken("the upstream was asked for a stream and sent something else")

    async def _advance(self) -> None:
        """Read on, at least one arrival of bytes."""
        try:
            arrived = await anext(self._streamed)
        except StopAsyncIteration:
            if not self._finished:
                raise BackendGone("the upstream ended its stream in the middle") from None
            self._done = self._begun = True
            return
        for event in self._events.feed(arrived):
            if event.data == b"[DONE]":
                self._end()
                return
            self._take(self._read(event.data))

    def _read(self, event: bytes) -> Piece:
        how = self._reading
        body = event if how.clean is None else how.clean(event)
        return read_chunk(body, how.dialect, keep_logprobs=how.keep_logprobs)

    def _take(self, piece: Piece) -> None:
        if piece.void:
            return
        chunk = piece.chunk
        self._finished = self._finished or chunk.finish_reason is not None
        self._ready.append(chunk)
        self._begun = (
            self._begun
            or piece.speaks
            or piece.thinks
            or self._finished
            or len(self._ready) > _HELD_CHUNKS
        )

    def _end(self) -> None:
        if not self._finished:
            raise BackendBroken("the upstream ended its stream without a finish_reason")
        self._done = True
        self._streamed.run_out(time.monotonic() + _DRAIN_SECONDS)
