"""Write the one line that a call leaves behind.

Place   last, whatever happened; before the last byte of the answer is sent
Reads   the whole exchange
Writes  one journal line, and the metrics
Leaves  the answer alone; never waits, so no cancellation can come between
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from lockgate.core.clock import Clock
from lockgate.core.entry import Entry
from lockgate.core.exchange import Answer, Attempt, Exchange, Note, Outcome, Tally
from lockgate.core.ports import Recorder

NAME: Final = "record"
RETRY_S: Final = 1.0
"""After a call that could not be recorded, how long none is let in; then one may try again."""


class Record:
    """Turn an exchange into its ledger line and hand it to every recorder."""

    name = NAME

    def __init__(self, recorders: Sequence[Recorder], clock: Clock) -> None:
        self._recorders = tuple(recorders)
        self._clock = clock
        self._failed_at: float | None = None

    def __call__(self, exchange: Exchange, status: int) -> None:
        """Record *exchange* once; a second time is a bug.

        Raises:
            StoreError: The first recorder, the journal, could not keep it.
        """
        assert not exchange.tally.recorded
        now = self._clock.monotonic()
        entry = entry_of(exchange, status, now)
        self._failed_at = now
        for recorder in self._recorders:
            recorder.record(entry)
        self._failed_at = None
        exchange.tally.recorded = True

    @property
    def failing(self) -> bool:
        """Whether the last call could not be recorded, a moment ago."""
        return self._failed_at is not None and (self._clock.monotonic() - self._failed_at < RETRY_S)


def entry_of(exchange: Exchange, status: int, now: float) -> Entry:
    """Flatten *exchange* into its ledger line, as of *now* (monotonic seconds)."""
    call, tally, answer = exchange.call, exchange.tally, exchange.answer
    read, written = _usage(exchange)
    first = tally.first_output
    return Entry(
        id=call.id,
        service=call.service,
        surface=call.surface,
        release=exchange.release,
        key_id=call.caller.key_id,
        tenant=call.caller.tenant,
        received_at=call.received_at,
        seconds=now - call.received,
        first_output=None if first is None else first - call.received,
        outcome=_outcome(exchange),
        status=status,
        code=_code(exchange),
        ended=tally.ended,
        rung=exchange.rung,
        target="" if answer is None else answer.target,
        confidence=_confidence(exchange, answer),
        cost=exchange.cost,
        input_tokens=read,
        output_tokens=written,
        attempts=_attempts(exchange),
        verdicts=exchange.verdicts + tally.verdicts,
        trail=exchange.trail if not tally.ended else (*exchange.trail, _ending(tally)),
        marks=exchange.marks,
        laps=exchange.laps,
    )


def _code(exchange: Exchange) -> str:
    if exchange.failure is None or exchange.answer is not None:
        return exchange.tally.code
    return exchange.failure.code


def _attempts(exchange: Exchange) -> tuple[Attempt, ...]:
    """Give the attempts; the one that a stream came from, with what the stream came to."""
    tally = exchange.tally
    if tally.seconds is None or not exchange.attempts:
        return exchange.attempts
    streamed = msgspec.structs.replace(
        exchange.attempts[-1],
        result=tally.code or "accepted",
        seconds=tally.seconds,
        cost=tally.cost,
        usage=tally.usage,
        confidence=tally.confidence,
    )
    return (*exchange.attempts[:-1], streamed)


def _ending(tally: Tally) -> Note:
    return Note("stream", tally.ended, tally.code)


def _outcome(exchange: Exchange) -> Outcome:
    if exchange.tally.ended in ("broken", "abandoned"):
        return Outcome.FAILED
    if exchange.tally.ended == "refused":
        return Outcome.REFUSED
    return exchange.outcome or Outcome.FAILED


def _confidence(exchange: Exchange, answer: Answer | None) -> float | None:
    if exchange.tally.confidence is not None:
        return exchange.tally.confidence
    return None if answer is None else answer.confidence


def _usage(exchange: Exchange) -> tuple[int, int]:
    """Add up the tokens read and written, failed attempts included."""
    read, written = exchange.tally.usage.input_tokens, exchange.tally.usage.output_tokens
    for attempt in exchange.attempts:
        read += attempt.usage.input_tokens
        written += attempt.usage.output_tokens
    return read, written
