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
from lockgate.core.payload import Chat, ChatReply, Json, Rows, RowsReply, Usage

RECALL: Final = "recall"
REMEMBER: Final = "remember"

MAX_BYTES: Final = 64_000_000
"""Weight of all answers one service keeps in one worker."""
_OVERHEAD: Final = 350  # bytes that an entry takes beside the packed answer

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


class _Kept(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """An answer as it is kept: packed, for a full cache of objects would be slow to renew."""

    target: str
    usage: Usage
    confidence: float | None
    chat: ChatReply | None
    rows: RowsReply | None


_pack = msgspec.json.Encoder().encode
_unpack = msgspec.json.Decoder(_Kept).decode


class Answers:
    """Answers by key, the least recently used thrown out first; bounded in number and in bytes."""

    __slots__ = ("_clock", "_kept", "_limit", "_weight")

    def __init__(self, limit: int, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()
        self._weight = 0

    def get(self, key: bytes, up_to: float) -> Answer | None:
        """Give the answer kept under *key* if it is at most *up_to* seconds old, free of charge."""
        kept = self._kept.get(key)
        if kept is None or self._clock.monotonic() - kept[0] > up_to:
            return None
        self._kept.move_to_end(key)
        packed = _unpack(kept[1])
        reply = packed.chat or packed.rows
        assert reply is not None
        return Answer(
            reply=reply, target=packed.target, usage=packed.usage, confidence=packed.confidence
        )

    def put(self, key: bytes, answer: Answer) -> None:
        """Keep *answer*, a chat or rows; one too heavy to be kept is not."""
        packed = _packed(answer)
        if len(packed) > MAX_BYTES // 16:
            return
        replaced = self._kept.pop(key, None)
        if replaced is not None:
            self._weight -= _weight(replaced[1])
        self._kept[key] = (self._clock.monotonic(), packed)
        self._weight += _weight(packed)
        while len(self._kept) > self._limit or self._weight > MAX_BYTES:
            _, (_, lost) = self._kept.popitem(last=False)
            self._weight -= _weight(lost)


def _packed(answer: Answer) -> bytes:
    reply = answer.reply
    return _pack(
        _Kept(
            target=answer.target,
            usage=answer.usage,
            confidence=answer.confidence,
            chat=reply if isinstance(reply, ChatReply) else None,
            rows=reply if isinstance(reply, RowsReply) else None,
        )
    )


def _weight(packed: bytes) -> int:
    return _OVERHEAD + len(packed)


class Recall:
    """Answer from the cache while the answer is fresh."""

    name = RECALL

    def __init__(self, answers: Answers | None, fresh: float, release: str) -> None:
        self._answers = answers
        self._fresh = fresh
        self._release = release

    def __call__(self, exchange: Exchange) -> Exchange:
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

    def __call__(self, exchange: Exchange) -> Exchange:
        """Keep the answer if it may be given again."""
        key, answer = exchange.cache_key, exchange.answer
        if self._answers is None or key is None or answer is None:
            return exchange
        if exchange.outcome is Outcome.ANSWERED and _cacheable(answer):
            self._answers.put(key, answer)
        return exchange


def _cacheable(answer: Answer) -> bool:
    reply = answer.reply
    if isinstance(reply, ChatReply):
        return reply.finish_reason == "stop"
    return isinstance(reply, RowsReply)
