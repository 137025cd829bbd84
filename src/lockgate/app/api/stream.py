"""Sends a chat as server-sent events, the way OpenAI's clients read them.

A role first, then the text, then the reason it ended, then `[DONE]`. The last chunk carries the
`lockgate` object, and is sent after the call has been recorded. A stream that breaks ends in an
`error` frame, never in `[DONE]`: a caller can always tell a whole answer from a cut one.
"""

from __future__ import annotations

import asyncio
from typing import Final

from lockgate.app.api.arrival import Arrival
from lockgate.app.api.calls import failed
from lockgate.app.api.facts import facts_of
from lockgate.app.api.frames import (
    DONE,
    Frames,
    event,
    names_role,
    only_counts,
    pieces_of,
    usage_object,
)
from lockgate.app.api.line import Line
from lockgate.app.api.offer import Offer
from lockgate.app.api.problems import log_bug, openai_error, told, wrapped
from lockgate.core.errors import DeadlineExceeded, LockgateError, StoreError
from lockgate.core.exchange import Exchange
from lockgate.core.payload import Chat, ChatChunk, ChatReply, ChatStream, Json

READER_S: Final = 5.0
"""How long after its deadline a call is still sent to a reader who does not keep up."""


async def tell_stream(arrival: Arrival, offer: Offer, chat: Chat, exchange: Exchange) -> None:
    """Send the answer of *exchange* as a stream, and record it before its last frame.

    Raises:
        LockgateError: It broke before anything was sent, so that a status can still tell it.
    """
    assert exchange.answer is not None
    reply = exchange.answer.reply
    stream = reply if isinstance(reply, ChatStream) else _streamed(reply)
    telling = Telling(arrival, offer, exchange, stream, chat)
    try:
        await telling.run(facts_of(exchange).headers(cost_known=stream is not reply))
    finally:
        telling.line.drop()
        await stream.aclose()


def _streamed(reply: object) -> ChatStream:
    assert isinstance(reply, ChatReply)
    return ChatStream(pieces_of(reply))


class Telling:
    """One stream on its way to the caller.

    The chunk that says why the answer ended is held back until the stream has really ended: by
    then cost and confidence are known, and nothing is delayed that a reader waits for.
    """

    def __init__(
        self, arrival: Arrival, offer: Offer, exchange: Exchange, stream: ChatStream, chat: Chat
    ) -> None:
        self.line = Line(arrival)
        self._arrival, self._offer = arrival, offer
        self._exchange, self._stream, self._chat = exchange, stream, chat
        self._frames = Frames(exchange, with_usage=chat.include_usage)
        self._held: ChatChunk | None = None
        self._usage: Json = None

    async def run(self, headers: bytes) -> None:
        """Send everything; what goes wrong once it has begun is told in the stream.

        Raises:
            LockgateError: It went wrong before it began.
        """
        try:
            async with asyncio.timeout_at(self._exchange.call.deadline + READER_S):
                await self._all(headers)
        except TimeoutError:
            await self._break(DeadlineExceeded("the answer was not complete before the deadline"))
        except LockgateError as error:
            await self._break(error)
        except Exception as bug:  # noqa: BLE001 — a bug of ours is told to the caller as well
            await self._break(wrapped(bug))

    async def _all(self, headers: bytes) -> None:
        chunk = await anext(self._stream.chunks, None)
        self.line.open(headers)
        if chunk is None or not names_role(chunk):
            await self.line.put(self._frames.role())
        while chunk is not None:
            await self._pass_on(chunk)
            chunk = await anext(self._stream.chunks, None)
        await self._end()

    async def _pass_on(self, chunk: ChatChunk) -> None:
        if chunk.usage is not None:
            self._usage = chunk.fields.get("usage") or usage_object(chunk.usage)
        if only_counts(chunk):
            return
        if self._held is not None:
            await self.line.put(self._frames.chunk(self._held))
            self._held = None
        if chunk.finish_reason is not None:
            self._held = chunk
        else:
            await self.line.put(self._frames.chunk(chunk))

    async def _end(self) -> None:
        self._arrival.settled = True
        last = self._held or ChatChunk(finish_reason="stop")
        facts = facts_of(self._exchange)
        if self._chat.include_usage:
            tail = self._frames.chunk(last) + self._frames.usage(self._counts(), facts)
        else:
            tail = self._frames.chunk(last, facts)
        self._offer.path.record(self._exchange, 200)
        await self.line.close(tail + DONE)

    def _counts(self) -> Json:
        if self._usage is not None:
            return self._usage
        answer = self._exchange.answer
        assert answer is not None
        if isinstance(answer.reply, ChatReply):
            return answer.reply.fields.get("usage") or usage_object(answer.usage)
        return usage_object(self._exchange.tally.usage)

    async def _break(self, error: LockgateError) -> None:
        """Tell that the stream broke; the frame's `error` makes every client raise."""
        self._arrival.settled = True
        await self._stream.aclose()
        if not self._arrival.began:
            raise error
        error = self._recorded(error)
        log_bug(error, self._arrival.id)
        if not self.line.blocked:  # a caller who does not read would keep the call open for ever
            problem = told(error, failed(self._exchange, error))
            await self.line.close(event({"error": openai_error(problem)}))

    def _recorded(self, error: LockgateError) -> LockgateError:
        if isinstance(error, StoreError) or self._exchange.tally.recorded:
            return error
        try:
            self._offer.path.record(failed(self._exchange, error), 200)
        except StoreError as unkept:
            return unkept
        return error
