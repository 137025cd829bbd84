"""The request path: every stage, in the order a call meets it. Read this file first.

    towards an answer    admit → validate → screen(in) → recall → route → cascade( call → judge )*
    back to the caller   degrade → screen(out) → remember
    whatever happened    record

A stage is a module of the same name beside this one, and an `async (Exchange) -> Exchange`. The
way towards an answer ends at the first stage that has one. A `CallError` ends the call wherever
it is raised. `docs/life-of-a-call.md` tells the same story with reasons.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from lockgate.core.clock import Clock
from lockgate.core.errors import CallError, CallRefused, LockgateError
from lockgate.core.exchange import Call, Exchange, Note, Outcome
from lockgate.core.ports import Stage
from lockgate.request.record import Record

TOWARDS: Final = ("admit", "validate", "screen", "recall", "route", "cascade")
BACK: Final = ("degrade", "screen", "remember")
LAST: Final = ("record",)

CLIENT_CLOSED = 499
"""Status recorded for a caller who hung up (nginx's convention); it is never sent."""


class Path:
    """Carry the calls of one service to their answers."""

    __slots__ = ("_back", "_clock", "_record", "_towards")

    def __init__(
        self, *, towards: Sequence[Stage], back: Sequence[Stage], record: Record, clock: Clock
    ) -> None:
        assert tuple(stage.name for stage in towards) == TOWARDS
        assert tuple(stage.name for stage in back) == BACK
        self._towards = tuple(towards)
        self._back = tuple(back)
        self._record = record
        self._clock = clock

    async def carry(self, call: Call) -> Exchange:
        """Carry *call* to its answer, or to the failure that the caller is told.

        Never raises a `LockgateError`: it is in `exchange.failure`. If the task is cancelled
        because the caller hung up, the call is recorded and its leases are returned first.
        """
        exchange = Exchange(call=call)
        try:
            for stage in self._towards:
                exchange = await self._run(stage, exchange)
                if exchange.answer is not None:
                    break
            for stage in self._back:
                exchange = await self._run(stage, exchange)
        except _Stopped as stopped:
            return _ended(stopped.exchange, stopped.error)
        except asyncio.CancelledError:
            self.close(exchange.noted("path", "caller_left"))
            raise
        except Exception as bug:  # noqa: BLE001 — a bug must still be recorded and told as a 500
            error = LockgateError(f"internal error ({type(bug).__name__})")
            error.__cause__ = bug
            return _ended(exchange, error)
        return exchange

    def record(self, exchange: Exchange, status: int) -> None:
        """Write the call's journal line; call it before the last byte of the answer is sent.

        Raises:
            StoreError: It could not be written, so the answer must not be given as recorded.
        """
        self._record(exchange, status)

    def close(self, exchange: Exchange) -> None:
        """Give back what the call held; a call that nobody recorded is recorded as abandoned."""
        try:
            if not exchange.tally.recorded:
                exchange.tally.ended = exchange.tally.ended or "abandoned"
                self._record(exchange, CLIENT_CLOSED)
        finally:
            exchange.leases.release()

    async def _run(self, stage: Stage, exchange: Exchange) -> Exchange:
        began = self._clock.monotonic()
        try:
            after = await stage(exchange)
        except LockgateError as error:
            raise _Stopped(exchange, stage.name, self._clock.monotonic() - began, error) from error
        note = Note(stage.name, "ran", "", self._clock.monotonic() - began)
        return msgspec.structs.replace(after, trail=(*after.trail, note))


class _Stopped(Exception):
    """A stage ended the call; carries the exchange as it was before that stage."""

    def __init__(
        self, exchange: Exchange, stage: str, seconds: float, error: LockgateError
    ) -> None:
        super().__init__(stage)
        note = Note(stage, "stopped", error.code, seconds)
        self.exchange = msgspec.structs.replace(exchange, trail=(*exchange.trail, note))
        self.error = error


def _ended(exchange: Exchange, error: LockgateError) -> Exchange:
    if isinstance(error, CallRefused):
        outcome = Outcome.REFUSED
    elif isinstance(error, CallError) and exchange.attempts == () and exchange.failure is None:
        outcome = Outcome.REJECTED
    else:
        outcome = Outcome.FAILED
    return msgspec.structs.replace(exchange, answer=None, failure=error, outcome=outcome)
