"""Do what the service does instead of failing: go down its ladder.

Place   first on the way back
Reads   exchange.failure: what went wrong decides which rungs take over
Writes  exchange.answer, exchange.outcome, exchange.rung
Leaves  a call that has an answer alone
"""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from lockgate.core.errors import (
    BackendBusy,
    BackendTimeout,
    ContractBroken,
    DeadlineExceeded,
    InputTooLong,
    LockgateError,
    NotSure,
    Overloaded,
)
from lockgate.core.exchange import Answer, Exchange, Outcome
from lockgate.core.payload import Chat, ChatReply, Json, RowsReply, Tensors
from lockgate.request.cache import Answers
from lockgate.request.call import Caller, is_final

NAME: Final = "degrade"

_TROUBLE: Final[tuple[tuple[type[LockgateError], str], ...]] = (
    (BackendTimeout, "timeout"),
    (DeadlineExceeded, "timeout"),
    (BackendBusy, "overload"),
    (Overloaded, "overload"),
    (NotSure, "low_confidence"),
    (ContractBroken, "contract"),
)


def trouble_of(error: LockgateError) -> str:
    """Name the trouble that *error* is, in the manifest's words."""
    return next((name for kind, name in _TROUBLE if isinstance(error, kind)), "error")


class Rung(Protocol):
    """One step of the ladder."""

    @property
    def name(self) -> str:
        """How the rung is called in headers, trails and the ledger."""
        ...

    @property
    def on(self) -> frozenset[str]:
        """The troubles on which it takes over."""
        ...

    async def step(self, exchange: Exchange) -> Exchange:
        """Try to answer; without success the exchange's failure says why."""
        ...


class Degrade:
    """Step down until a rung answers."""

    name = NAME

    def __init__(self, ladder: tuple[Rung, ...]) -> None:
        self._ladder = ladder

    async def __call__(self, exchange: Exchange) -> Exchange:
        """Answer from the ladder.

        It does not take over when the input is at fault: a rung that answers would pass the
        caller's mistake off as our uncertainty. An input that was too long for every model so far
        may still fit another one. When no rung has an answer, the failure says why.
        """
        for rung in self._ladder:
            if exchange.answer is not None or is_final(exchange.failure):
                break
            assert exchange.failure is not None
            if isinstance(exchange.failure, InputTooLong) and not isinstance(rung, TargetRung):
                continue
            if trouble_of(exchange.failure) in rung.on:
                exchange = await rung.step(exchange)
                if exchange.answer is not None:
                    exchange = exchange.noted(NAME, "stepped_down", rung.name)
        return exchange


class TargetRung:
    """Ask another model, under the same terms."""

    def __init__(self, target: str, on: frozenset[str], caller: Caller) -> None:
        self.name = f"target:{target}"
        self.on = on
        self._target = target
        self._caller = caller

    async def step(self, exchange: Exchange) -> Exchange:
        """Make one attempt; an answer is a fallback."""
        if not exchange.leases.held:  # not admitted: only rungs that cost nothing may answer
            return exchange
        after = await self._caller.attempt(exchange, self._target, unjudged_passes=True)
        if after.answer is None:
            return after
        return msgspec.structs.replace(after, outcome=Outcome.FALLBACK, rung=self.name)


class CacheRung:
    """Give an earlier answer to the same question."""

    name = "cache"

    def __init__(self, up_to: float, on: frozenset[str], answers: Answers) -> None:
        self.on = on
        self._up_to = up_to
        self._answers = answers

    async def step(self, exchange: Exchange) -> Exchange:
        """Look the question up among answers that may be old."""
        key = exchange.cache_key
        found = None if key is None else self._answers.get(key, self._up_to)
        if found is None:
            return exchange
        return msgspec.structs.replace(
            exchange, answer=found, outcome=Outcome.STALE, rung=self.name
        )


class UncertainRung:
    """Say honestly that there is no certain answer."""

    name = "uncertain"

    def __init__(self, says: Json, on: frozenset[str]) -> None:
        self.on = on
        self._says = says

    async def step(self, exchange: Exchange) -> Exchange:
        """Give the configured words; tensors, which have none, keep their numbers."""
        if isinstance(exchange.call.request, Tensors):
            if exchange.unsure is None:
                return exchange
            answer = exchange.unsure
        else:
            confidence = None if exchange.unsure is None else exchange.unsure.confidence
            answer = self._answer(exchange, confidence)
        return msgspec.structs.replace(
            exchange, answer=answer, outcome=Outcome.UNCERTAIN, rung=self.name
        )

    def _answer(self, exchange: Exchange, confidence: float | None) -> Answer:
        if isinstance(exchange.call.request, Chat):
            reply: ChatReply | RowsReply = ChatReply(text=str(self._says))
        else:
            reply = RowsReply(output=self._says)
        return Answer(reply=reply, target="lockgate", confidence=confidence)
