"""The facts of an answer that every protocol carries: in headers, and in a `lockgate` object."""

from __future__ import annotations

from typing import Final

import msgspec

from lockgate.app.api.arrival import header_line
from lockgate.core.exchange import Exchange, Outcome
from lockgate.core.money import usd

OUTCOMES: Final[dict[Outcome, bytes]] = {
    outcome: header_line(b"x-lockgate-outcome", outcome.value.encode()) for outcome in Outcome
}
"""The header line of each outcome."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What Lockgate knows about an answer; as JSON, its `lockgate` object.

    Attributes:
        confidence: Probability that the answer is right; of a stream, known once it is over.
        cost_usd: What the call has cost so far, exact decimal.
        rung: The ladder's rung that answered.
        target: The model that answered; `cache` or `lockgate` if none did.
    """

    outcome: Outcome
    confidence: float | None
    cost_usd: str
    rung: str | None
    target: str | None
    request_id: str

    def headers(self, *, cost_known: bool = True) -> bytes:
        """Tell the facts in header lines; a stream's cost is not known while it begins."""
        lines = OUTCOMES[self.outcome]
        if self.confidence is not None:
            lines += b"x-lockgate-confidence: %.4f\r\n" % self.confidence
        if cost_known:
            lines += b"x-lockgate-cost-usd: %b\r\n" % self.cost_usd.encode()
        if self.rung is not None:
            lines += header_line(b"x-lockgate-rung", self.rung.encode())
        return lines


def facts_of(exchange: Exchange) -> Facts:
    """Gather the facts of *exchange* as they are now."""
    answer, confidence, cost = exchange.answer, exchange.tally.confidence, exchange.cost
    if confidence is None and answer is not None:
        confidence = answer.confidence
    return Facts(
        outcome=exchange.outcome or Outcome.FAILED,
        confidence=confidence,
        cost_usd=usd(cost) if cost else "0",
        rung=exchange.rung or None,
        target=None if answer is None else answer.target,
        request_id=exchange.call.id,
    )
