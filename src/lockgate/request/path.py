"""The request path: every stage, in the order a call meets it. Read this file first.

    towards an answer    admit → validate → screen(in) → recall → route → cascade( call → judge )*
    back to the caller   degrade → screen(out) → remember
    whatever happened    record

A stage is a module of the same name beside this one, and an `(Exchange) -> Exchange`, async if it
may have to wait. The way towards an answer ends at the first stage that has one. A `CallError` ends
the call wherever it is raised. `docs/life-of-a-call.md` tells the same story with reasons.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec

from lockgate.core.clock import Clock
from lockgate.core.errors import CallError, CallRefused, InputRejected, InvalidCall, LockgateError
from lockgate.core.exchange import BACK, TOWARDS, Call, Exchange, Note, Outcome
from lockgate.core.ports import Stage
from lockgate.request.record import Record

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
        run = _Run(Exchange(call=call), self._clock)
        try:
            await run.along(self._towards, until_answered=True)
            await run.along(self._back, until_answered=False)
        except asyncio.CancelledError:
            self.close(run.over("path", "caller_left"))
            raise
        except LockgateError as error:
            return _ended(run.over(run.stage, "stopped", error.code), error)
        except RecursionError as deep:
            error = InvalidCall("the input is nested too deeply")
            error.__cause__ = deep
            return _ended(run.over(run.stage, "stopped", error.code), error)
        except Exception as bug:  # noqa: BLE001 — a bug must still be recorded and told as a 500
            error = LockgateError(f"internal error ({type(bug).__name__})")
            error.__cause__ = bug
            return _ended(run.over(run.stage, "stopped", error.code), error)
        failure = run.exchange.failure
        if run.exchange.answer is None and failure is not None:
            return _ended(run.over(run.stage, "stopped", failure.code), failure)
        return run.over()

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


class _Run:
    """One call's way over the path: times every stage, once and in one place.

    Attributes:
        exchange: As the last completed stage left it, its notes taken off.
        stage: The stage that runs, or ran last.
    """

    __slots__ = ("_at", "_clock", "_laps", "_marks", "_trail", "exchange", "stage")

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self.exchange = exchange
        self.stage = ""
        self._clock = clock
        self._at = clock.monotonic()
        self._laps: list[float] = []
        self._trail: list[Note] = []
        self._marks: list[int] = []

    async def along(self, stages: Sequence[Stage], *, until_answered: bool) -> None:
        """Run *stages* in order: towards an answer until there is one, back while there is one."""
        monotonic, laps = self._clock.monotonic, self._laps
        exchange, began = self.exchange, self._at
        for stage in stages:
            self.stage = stage.name
            after = stage(exchange)
            exchange = after if isinstance(after, Exchange) else await after
            if exchange.trail:
                exchange = self._noted(exchange)
            self.exchange = exchange
            self._at = ended = monotonic()
            laps.append(ended - began)
            began = ended
            if (exchange.answer is not None) is until_answered:
                break
        if until_answered and len(laps) < len(stages):
            laps += [-1.0] * (len(stages) - len(laps))

    def _noted(self, exchange: Exchange) -> Exchange:
        """Take what a stage had to say off *exchange*, and note where it said it."""
        self._marks += [len(self._laps)] * len(exchange.trail)
        self._trail += exchange.trail
        return msgspec.structs.replace(exchange, trail=())

    def over(self, stage: str = "", event: str = "", detail: str = "") -> Exchange:
        """Give the exchange with its whole trail, and a last note if there is one to add."""
        if stage:
            self._trail.append(Note(stage, event, detail, self._clock.monotonic() - self._at))
            self._marks.append(len(self._laps))
        return msgspec.structs.replace(
            self.exchange,
            trail=tuple(self._trail),
            marks=tuple(self._marks),
            laps=tuple(self._laps),
        )


def _ended(exchange: Exchange, error: LockgateError) -> Exchange:
    outcome = Outcome.FAILED
    if isinstance(error, CallRefused):
        outcome = Outcome.REFUSED
    elif isinstance(error, InputRejected) or _was_not_let_in(exchange, error):
        outcome = Outcome.REJECTED
    return msgspec.structs.replace(exchange, answer=None, failure=error, outcome=outcome)


def _was_not_let_in(exchange: Exchange, error: LockgateError) -> bool:
    return isinstance(error, CallError) and not exchange.attempts and exchange.failure is None
