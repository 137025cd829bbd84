"""Exact answers again to exact questions, within one tenant and one release.

Place   recall: after screen, so that the key is what would be sent; remember: last on the way back
Reads   exchange.call (tenant, every parameter of the request), the release
Writes  recall: exchange.cache_key, or exchange.answer and outcome; remember: the cache
Leaves  streams, and every answer that did not come from a target at first hand
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

import msgspec

from lockgate.core.clock import Clock
from lockgate.core.exchange import Answer, Call, Exchange, Outcome
from lockgate.core.payload import Chat, ChatReply, Json, Rows, RowsReply

RECALL: Final = "recall"
REMEMBER: Final = "remember"

MAX_BYTES: Final = 64_000_000
"""Weight of all answers one service keeps in one worker."""

_encode = msgspec.json.Encoder(order="sorted").encode


def key_of(call: Call, release: str) -> bytes | None:
    """Give the cache key of *call*, or None if it must not be cached.

    It is a hash of one JSON value that holds tenant, release, surface and every parameter, so no
    two different calls can share a key by concatenation.
    """
    request = call.request
    if isinstance(request, Chat):
        if request.stream:
            return None
        asked: Json = request.fields
    else:
        asked = request.input if isinstance(request, Rows) else request
    whole = _encode((call.caller.tenant, release, call.surface, asked))
    return blake2b(whole, digest_size=24).digest()


class Answers:
    """Answers by key, the least recently used thrown out first; bounded in number and in bytes."""

    __slots__ = ("_clock", "_kept", "_limit", "_weight")

    def __init__(self, limit: int, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, int, Answer]] = OrderedDict()
        self._weight = 0

    def get(self, key: bytes, up_to: float) -> Answer | None:
        """Give the answer kept under *key* if it is at most *up_to* seconds old, free of charge."""
        kept = self._kept.get(key)
        if kept is None or self._clock.monotonic() - kept[0] > up_to:
            return None
        self._kept.move_to_end(key)
        return kept[2]

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep *answer*; one too heavy to be kept is not."""
        weight = _weight(answer)
        if weight > MAX_BYTES // 16:
            return
        replaced = self._kept.pop(key, None)
        self._weight += weight - (0 if replaced is None else replaced[1])
        self._kept[key] = (self._clock.monotonic(), weight, answer)
        while len(self._kept) > self._limit or self._weight > MAX_BYTES:
            _, (_, lost, _) = self._kept.popitem(last=False)
            self._weight -= lost


def _weight(answer: Answer) -> int:
    reply = answer.reply
    if isinstance(reply, ChatReply):
        return 500 + len(reply.text) + sum(map(len, reply.fields.values()))
    return 500 + len(msgspec.json.encode(reply)) if isinstance(reply, RowsReply) else 1 << 40


class Recall:
    """Answer from the cache while the answer is fresh."""

    name = RECALL

    def __init__(self, answers: Answers | None, fresh: float, release: str) -> None:
        self._answers = answers
        self._fresh = fresh
        self._release = release

    async def __call__(self, exchange: Exchange) -> Exchange:
        """Look the question up."""
        if self._answers is None:
            return exchange
        key = key_of(exchange.call, self._release)
        if key is None:
            return exchange
        found = self._answers.get(key, self._fresh)
        if found is None:
            return msgspec.structs.replace(exchange, cache_key=key)
        return msgspec.structs.replace(
            exchange,
            answer=found,
            outcome=Outcome.CACHED,
            release=self._release,
            failure=None,
        )


class Remember:
    """Keep answers that a target gave at first hand."""

    name = REMEMBER

    def __init__(self, answers: Answers | None) -> None:
        self._answers = answers

    async def __call__(self, exchange: Exchange) -> Exchange:
        """Keep the answer if it may be given again."""
        key, answer = exchange.cache_key, exchange.answer
        if self._answers is None or key is None or answer is None:
            return exchange
        if exchange.outcome is Outcome.ANSWERED and _cacheable(answer):
            self._answers.put(key, msgspec.structs.replace(answer, cost=0))
        return exchange


def _cacheable(answer: Answer) -> bool:
    reply = answer.reply
    if isinstance(reply, ChatReply):
        return reply.finish_reason == "stop"
    return isinstance(reply, RowsReply)
