"""Make one attempt at one target.

Place   inside cascade and degrade
Reads   exchange.call; no earlier attempt: each stands on its own
Writes  one entry of exchange.attempts; exchange.answer if it was good enough; exchange.failure
        (and exchange.unsure) if not
Leaves  the choice of the next target to its caller
"""

from __future__ import annotations

from typing import Final

import msgspec

from lockgate.core.clock import Clock
from lockgate.core.errors import (
    BackendError,
    BackendTimeout,
    ContractBroken,
    InputRejected,
    InputTooLong,
    LockgateError,
    NotSure,
)
from lockgate.core.exchange import Answer, Attempt, Call, Evidenced, Exchange, Signal, Tally
from lockgate.core.money import Price
from lockgate.core.payload import (
    ChatChunk,
    ChatReply,
    ChatStream,
    Json,
    RowsReply,
    TensorsReply,
    Usage,
)
from lockgate.core.ports import Ask, Backend, Contract
from lockgate.request.judge import Bar

NAME: Final = "call"

RESERVE_S: Final = 0.05
"""Kept back from every attempt, so that the ladder's own rungs still fit before the deadline."""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Under which terms a service asks its models; the same for all its targets.

    Attributes:
        bar: The judge and what it demands.
        contract: The form an answer must have.
    """

    instructions: str = ""
    output_schema: msgspec.Raw | None = None
    contract: Contract | None = None
    signal: Signal = Signal.NONE
    bar: Bar


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A model as a service sees it: who answers, at which price, and how long one attempt may take.

    Attributes:
        first_token: Seconds until output must have begun.
        total: Seconds until it must be complete.
    """

    name: str
    backend: Backend
    price: Price
    first_token: float
    total: float


def is_final(failure: LockgateError | None) -> bool:
    """Say whether *failure* is the caller's fault wherever else the call would go."""
    return isinstance(failure, InputRejected) and not isinstance(failure, InputTooLong)


def _weightier(before: LockgateError, error: BackendError) -> LockgateError:
    """Give the failure to tell of two.

    An input that is too long for one model is the caller's fault only if no other model failed on
    it in another way: that one may have had room for it.
    """
    only_here = isinstance(error, InputTooLong) and not isinstance(before, InputTooLong)
    return before if only_here else error


class Caller:
    """Asks targets on behalf of one service."""

    __slots__ = ("_clock", "_targets", "_terms")

    def __init__(self, targets: dict[str, Target], terms: Terms, clock: Clock) -> None:
        self._targets = targets
        self._terms = terms
        self._clock = clock

    async def attempt(
        self, exchange: Exchange, name: str, *, unjudged_passes: bool = False
    ) -> Exchange:
        """Ask the target called *name* once, and judge what it says."""
        target, began = self._targets[name], self._clock.monotonic()
        answer: Answer | None = None
        try:
            ask = self._ask(exchange.call, target, began)
            answer = await target.backend.answer(ask)  # keeps the deadline: its conformance suite
            if isinstance(answer.reply, ChatStream):
                answer = self._metered(answer, exchange.tally, target, began)
            else:
                answer = self._settled(answer, target, self._clock.monotonic() - began)
                self._hold_to_contract(answer)
                self._terms.bar.require(answer, unjudged_passes=unjudged_passes)
        except BackendError as error:
            return self._failed(exchange, name, began, answer, error)
        return msgspec.structs.replace(
            exchange,
            answer=answer,
            failure=None,
            attempts=(*exchange.attempts, self._line(name, "accepted", began, answer)),
        )

    def _ask(self, call: Call, target: Target, began: float) -> Ask:
        latest = min(call.deadline - RESERVE_S, began + target.total)
        if latest <= began:
            raise BackendTimeout("no time left for another attempt", target=target.name)
        return Ask(
            call_id=call.id,
            request=call.request,
            instructions=self._terms.instructions,
            output_schema=self._terms.output_schema,
            signal=self._terms.signal,
            deadline=latest,
            first_output=min(latest, began + target.first_token),
        )

    def _settled(self, answer: Answer, target: Target, seconds: float) -> Answer:
        """Put price and confidence on a whole answer."""
        cost = target.price.of(
            input_tokens=answer.usage.input_tokens,
            output_tokens=answer.usage.output_tokens,
            seconds=seconds,
        )
        confidence = self._terms.bar.confidence(answer)
        return msgspec.structs.replace(answer, cost=cost, confidence=confidence)

    def _hold_to_contract(self, answer: Answer) -> None:
        if self._terms.contract is None or isinstance(answer.reply, TensorsReply):
            return
        found = self._terms.contract.findings(_content(answer))
        if found:  # the findings quote the answer, and a message may be recorded
            raise ContractBroken(
                f"its answer breaks the contract ({len(found)} findings)",
                said="; ".join(found),
                target=answer.target,
            )

    def _failed(
        self,
        exchange: Exchange,
        name: str,
        began: float,
        answer: Answer | None,
        error: BackendError,
    ) -> Exchange:
        line = self._line(name, error.code, began, answer)
        if answer is None:  # the model may have worked all that time: a price per hour counts it
            hourly = Price(hour=self._targets[name].price.hour)
            spent = hourly.of(input_tokens=0, output_tokens=0, seconds=line.seconds)
            line = msgspec.structs.replace(line, cost=spent)
        unsure = answer if isinstance(error, NotSure) else exchange.unsure
        failure = error if exchange.failure is None else _weightier(exchange.failure, error)
        after = msgspec.structs.replace(
            exchange,
            answer=None,
            unsure=unsure,
            failure=failure,
            attempts=(*exchange.attempts, line),
        )
        return after.noted(NAME, error.code, f"{name}: {error.message}")

    def _line(self, name: str, result: str, began: float, answer: Answer | None) -> Attempt:
        seconds = self._clock.monotonic() - began
        if answer is None:
            return Attempt(target=name, result=result, seconds=seconds)
        return Attempt(
            target=name,
            result=result,
            seconds=seconds,
            cost=answer.cost,
            usage=answer.usage,
            confidence=answer.confidence,
        )

    def _metered(self, answer: Answer, tally: Tally, target: Target, began: float) -> Answer:
        assert isinstance(answer.reply, ChatStream)
        terms = _Settlement(target, began, self._terms.bar, self._clock)
        meter = Meter(answer.reply, answer, tally, terms)
        return msgspec.structs.replace(answer, reply=ChatStream(meter))


class _Settlement(msgspec.Struct, frozen=True):
    """What a stream's price and confidence are worked out from."""

    target: Target
    began: float
    bar: Bar
    clock: Clock


class Meter:
    """Counts a stream as it passes, and settles what it cost when it ends, however it ends."""

    __slots__ = ("_answer", "_chunks", "_logprobs", "_stream", "_tally", "_terms")

    def __init__(
        self, stream: ChatStream, answer: Answer, tally: Tally, terms: _Settlement
    ) -> None:
        self._stream, self._answer = stream, answer
        self._tally, self._terms = tally, terms
        self._logprobs: list[float] = []
        self._chunks = 0
        tally.first_output = terms.clock.monotonic()

    def __aiter__(self) -> Meter:
        return self

    async def __anext__(self) -> ChatChunk:
        """Pass the next chunk on; `tally.ended` says afterwards how the stream ended."""
        try:
            chunk = await anext(self._stream.chunks)
        except StopAsyncIteration:
            self._settle("complete")
            raise
        except BackendError as error:
            self._tally.code = error.code
            self._settle("broken")
            raise
        self._chunks += bool(chunk.text or chunk.tool_calls)
        self._logprobs.extend(chunk.logprobs)
        if chunk.usage is not None:
            self._tally.usage = chunk.usage
        return chunk

    async def aclose(self) -> None:
        """Abort the upstream; what it gave until now is paid for."""
        self._settle("abandoned")
        await self._stream.aclose()

    def _settle(self, ended: str) -> None:
        tally = self._tally
        if tally.ended:
            return
        tally.ended = ended
        tally.seconds = self._terms.clock.monotonic() - self._terms.began
        if tally.usage == Usage():  # cut before the model said: one chunk is about one token
            tally.usage = Usage(output_tokens=self._chunks)
        tally.cost = self._terms.target.price.of(
            input_tokens=tally.usage.input_tokens,
            output_tokens=tally.usage.output_tokens,
            seconds=tally.seconds,
        )
        seen = Evidenced(logprobs=tuple(self._logprobs))
        seen_answer = msgspec.structs.replace(self._answer, raw=seen)
        tally.confidence = self._terms.bar.confidence(seen_answer)


def _content(answer: Answer) -> Json:
    """Give the part of an answer that its contract is about."""
    reply = answer.reply
    if isinstance(reply, RowsReply):
        return reply.output
    assert isinstance(reply, ChatReply)
    try:
        return msgspec.json.decode(reply.text)
    except msgspec.DecodeError as error:
        raise ContractBroken("the answer is not JSON", target=answer.target) from error
