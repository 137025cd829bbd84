"""The runner's side of the line: a socket, and a model that answers what comes in on it.

A connection that sends anything but frames is closed, and only that connection. Every ask ends
in exactly one last frame, sent when its work has really ended.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import Any, Final, Protocol, cast

import msgspec

from lockgate.ai.models import frames
from lockgate.core.clock import Clock
from lockgate.core.errors import (
    BackendBroken,
    BackendBusy,
    BackendError,
    BackendGone,
    BackendRejected,
    BackendTimeout,
)
from lockgate.core.payload import Json
from lockgate.core.raised import tell

PLACES: Final = 1024
"""Asks that may be under way or waiting in one runner; the next is told that it is busy."""
LAST_WORDS_S: Final = 1.0
"""Seconds that a cancelled call has to tidy up."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer: text, a JSON value or tensors, and the largest probability of each row."""

    body: Json
    probabilities: tuple[float, ...] = ()


class Model(Protocol):
    """What a runner hosts."""

    async def answer(self, question: frames.Question) -> Said | AsyncGenerator[str, None]:
        """Answer *question*, at once or piece by piece; cancelled at the deadline.

        Raises:
            BackendError: It cannot.
        """
        ...

    def describe(self) -> frames.Described:
        """Say what the model takes and gives.

        Raises:
            BackendBusy: It cannot take a call now, and perhaps never will.
        """
        ...


class Hosting:
    """Everybody who is connected to this runner, and what they have asked."""

    def __init__(
        self, model: Model, clock: Clock, *, places: int = PLACES, quote: bool = False
    ) -> None:
        self.model = model
        self.clock = clock
        self.places = places
        self.quote = quote
        self.ending = False
        self.tasks: set[asyncio.Task[frames.Frame]] = set()
        self.visitors: set[Visitor] = set()

    def visitor(self) -> Visitor:
        """Make the protocol for one more connection."""
        return Visitor(self)

    def arrived(self, visitor: Visitor) -> None:
        """Remember *visitor* until it has left."""
        self.visitors.add(visitor)

    def left(self, visitor: Visitor) -> None:
        """Forget *visitor*."""
        self.visitors.discard(visitor)

    def refusal(self) -> BackendError | None:
        """Say why no further ask is taken on, None if it is."""
        if self.ending:
            return BackendGone("the runner is about to end")
        if len(self.tasks) >= self.places:
            return BackendBusy(f"the runner has {self.places} calls under way")
        return None

    async def forsake(self, stuck: Collection[asyncio.Task[Any]], grace: float) -> None:
        """Take nothing more on, and let whatever is not *stuck* finish for *grace* seconds."""
        self.ending = True
        if moving := self.tasks.difference(stuck):
            await asyncio.wait(moving, timeout=grace)

    async def close(self, grace: float) -> None:
        """Take nothing more on, let what is under way finish for *grace* seconds, then hang up.

        What is in `tasks` afterwards cannot be stopped.
        """
        self.ending = True
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=grace)
        for visitor in tuple(self.visitors):
            visitor.hang_up()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=LAST_WORDS_S)


class Visitor(asyncio.Protocol):
    """One connection from a worker."""

    def __init__(self, hosting: Hosting) -> None:
        self._hosting = hosting
        self._unpacker = frames.Unpacker()
        self._transport: asyncio.WriteTransport | None = None
        self._writable = asyncio.Event()
        self._asked: dict[int, asyncio.Task[frames.Frame]] = {}

    def hang_up(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop registers none
        self._writable.set()
        self._hosting.arrived(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 — asyncio's signature
        self._transport = None
        self._writable.set()
        self._hosting.left(self)
        for task in self._asked.values():
            task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._unpacker.feed(data):
                self._accept(frame)
        except frames.BadFrame as error:
            _log(f"a connection was closed: {error}")
            self.hang_up()

    def _accept(self, frame: frames.Frame) -> None:
        if isinstance(frame, frames.Cancel):
            if (asked := self._asked.get(frame.id)) is not None:
                asked.cancel()
        elif isinstance(frame, frames.Ask):
            self._begin(frame)
        else:
            raise frames.BadFrame("a worker does not answer")

    def _begin(self, ask: frames.Ask) -> None:
        if ask.id in self._asked:
            raise frames.BadFrame(f"ask {ask.id} is still under way")
        if (refusal := self._hosting.refusal()) is not None:
            self._send(_fault(ask.id, refusal))
            return
        task = asyncio.get_running_loop().create_task(self._serve(ask))
        self._asked[ask.id] = task
        self._hosting.tasks.add(task)
        task.add_done_callback(lambda done: self._finish(ask.id, done))

    def _finish(self, number: int, task: asyncio.Task[frames.Frame]) -> None:
        """Send the last frame; only here, because a task can be cancelled before it begins."""
        self._hosting.tasks.discard(task)
        self._asked.pop(number, None)
        given_up = BackendTimeout("given up by the caller")
        self._send(_fault(number, given_up) if task.cancelled() else task.result())

    async def _serve(self, ask: frames.Ask) -> frames.Frame:
        """See *ask* through to its last frame, whatever becomes of it."""
        error: BackendError
        try:
            left = ask.deadline - self._hosting.clock.monotonic()
            async with asyncio.timeout(max(left, 0.0)):
                return await self._answer(ask)
        except TimeoutError:
            error = BackendTimeout("the runner did not answer in time")
        except frames.BadFrame as bad:
            error = BackendRejected(str(bad))
        except BackendError as known:
            error = known
        except Exception as bug:  # noqa: BLE001 — a bug in a model must not hang its caller
            tell(bug, quote=self._hosting.quote)
            error = BackendBroken(f"the runner failed with {type(bug).__name__}")
        return _fault(ask.id, error)

    async def _answer(self, ask: frames.Ask) -> frames.Frame:
        if ask.verb == "describe":
            return frames.Reply(ask.id, frames.body_of(self._hosting.model.describe()))
        answer = await self._hosting.model.answer(frames.question_of(ask))
        if isinstance(answer, Said):
            return _reply(ask.id, answer)
        async with aclosing(answer) as pieces:
            async for text in pieces:
                await self._writable.wait()
                self._send(frames.Chunk(ask.id, text))
        return frames.End(ask.id)

    def _send(self, frame: frames.Frame) -> None:
        if self._transport is None:
            return
        try:
            packed = frames.pack(frame)
        except frames.FrameTooLarge as error:
            fault = _fault(frame.id, BackendBroken(f"the answer is {error}"))
            packed = frames.pack(fault)
        self._transport.write(packed)


def _reply(number: int, said: Said) -> frames.Reply:
    try:
        return frames.Reply(number, frames.body_of(said.body), said.probabilities)
    except ValueError as error:
        raise BackendBroken(f"the answer cannot be sent: {error}") from error


def _fault(number: int, error: BackendError) -> frames.Fault:
    return frames.Fault(number, error.code, error.message[:4096], error.said[:4096])


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 — a runner's log is its stderr
