"""The worker's side of runners: one connection per replica, many calls on each.

A call goes to the connected replica with the fewest asks that have not ended. An ask ends when
the runner says so, not when the caller gives up, so a runner that hangs keeps its count and is
passed over without anybody checking its health. Connections are made when a call needs them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from lockgate.ai.models import frames
from lockgate.ai.models.replica import Line, Replica
from lockgate.ai.models.waiting import Pieces, Whole
from lockgate.core.clock import Clock, SystemClock
from lockgate.core.errors import (
    BackendBroken,
    BackendError,
    BackendGone,
    BackendTimeout,
    InputRejected,
)

READY_S: Final = 1.0
"""How long a runner may take to say that it is there."""
_T = TypeVar("_T")


class Hosted:
    """A model in runner processes, one per socket.

    Args:
        name: The model's name; the `target` of the errors raised.
        sockets: Where its replicas listen, whether or not they do yet.
        clock: Tells how much of a deadline is left.
    """

    def __init__(self, name: str, sockets: Iterable[Path], clock: Clock | None = None) -> None:
        self.name = name
        self._clock = clock or SystemClock()
        self._replicas = tuple(Replica(name, path, self._clock) for path in sockets)
        self._closed = False

    @property
    def connected(self) -> int:
        """Count the replicas that can be asked without connecting first."""
        return sum(replica.line is not None for replica in self._replicas)

    async def ask(self, verb: frames.Verb, body: object, deadline: float) -> frames.Reply:
        """Have one replica answer; *deadline* in monotonic seconds.

        Raises:
            BackendError: There is no answer; the subclass says why. `BackendTimeout` at the
                deadline, `BackendGone` as soon as the replica is.
        """
        waiting = Whole(self.name)
        number, line = await self._begin(verb, body, deadline, waiting)
        expiry = self._expire_at(waiting, deadline)
        try:
            return await waiting.reply
        finally:
            expiry.cancel()
            line.leave(number)

    async def stream(
        self, turns: frames.Turns, deadline: float, first_output: float | None = None
    ) -> Pieces:
        """Have one replica answer piece by piece; return once the first piece is there.

        Raises:
            BackendError: It did not begin; the subclass says why.
        """
        pieces = Pieces(self.name)
        number, line = await self._begin("chat", turns, deadline, pieces)
        expiry = self._expire_at(pieces, deadline)
        pieces.attach(lambda: (expiry.cancel(), line.leave(number)))
        begun = self._expire_at(pieces, min(deadline, first_output or deadline))
        try:
            await pieces.begun()
        except BaseException:
            await pieces.aclose()
            raise
        finally:
            begun.cancel()
        return pieces

    async def describe(self) -> frames.Described:
        """Ask what the model takes and gives; within `READY_S`.

        Raises:
            BackendError: Nobody could say.
        """
        deadline = self._clock.monotonic() + READY_S
        reply = await self.ask("describe", None, deadline)
        return read(reply, frames.Described, self.name)

    async def ready(self) -> bool:
        """Say whether a replica answers now."""
        try:
            await self.describe()
        except BackendError:
            return False
        return True

    async def close(self) -> None:
        """Hang up everywhere; what is asked, now or later, fails with `BackendGone`."""
        self._closed = True
        for replica in self._replicas:
            await replica.close()

    async def _begin(
        self, verb: frames.Verb, body: object, deadline: float, waiting: Whole | Pieces
    ) -> tuple[int, Line]:
        if self._closed:
            raise BackendGone("the connections to the runners are closed", target=self.name)
        if deadline <= self._clock.monotonic():
            raise BackendTimeout(
                "the deadline had passed before a runner was asked", target=self.name
            )
        encoded = self._encode(body)
        line = await self._line(deadline)
        try:
            return line.ask(verb, encoded, deadline, waiting), line
        except frames.FrameTooLarge as error:
            raise InputRejected(f"the request is {error}", target=self.name) from error

    def _encode(self, body: object) -> msgspec.Raw:
        try:
            return frames.body_of(body)
        except ValueError as error:
            message = f"the request cannot be sent to a runner: {error}"
            raise InputRejected(message, target=self.name) from error

    def _expire_at(self, waiting: Whole | Pieces, deadline: float) -> asyncio.TimerHandle:
        left = deadline - self._clock.monotonic()
        loop = asyncio.get_running_loop()
        return loop.call_later(max(left, 0.0), waiting.expire)

    async def _line(self, deadline: float) -> Line:
        """Give the least busy line; wait for one only if there is none."""
        up = [replica.line for replica in self._replicas if replica.line is not None]
        if len(up) < len(self._replicas):
            self._reach_out(urgent=not up)
        if up:
            return min(up, key=attrgetter("load"))
        return await self._first_up(deadline)

    def _reach_out(self, *, urgent: bool) -> None:
        for replica in self._replicas:
            if replica.line is None:
                replica.reach_out(urgent=urgent)

    async def _first_up(self, deadline: float) -> Line:
        """Wait for whichever replica can be reached first."""
        trying = {replica.attempt for replica in self._replicas if replica.attempt is not None}
        while trying:
            left = deadline - self._clock.monotonic()
            done, trying = await asyncio.wait(
                trying, timeout=max(left, 0.0), return_when=asyncio.FIRST_COMPLETED
            )
            if not done:
                raise BackendTimeout("no runner took the call in time", target=self.name)
            for attempt in done:
                if (line := attempt.result()) is not None:
                    return line
        raise BackendGone(self._nobody(), target=self.name)

    def _nobody(self) -> str:
        reasons = {replica.trouble for replica in self._replicas}
        return f"no runner of {self.name} can be reached: {'; '.join(sorted(reasons))}"


def read(reply: frames.Reply, kind: type[_T], name: str) -> _T:
    """Decode a reply's body.

    Raises:
        BackendBroken: It is something else.
    """
    try:
        return msgspec.msgpack.decode(reply.body, type=kind)
    except msgspec.MsgspecError as error:
        raise BackendBroken("the runner answered out of form", target=name) from error
