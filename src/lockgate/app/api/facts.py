"""The facts of an answer that every protocol carries: in headers, and in a `lockgate` object."""

from __future__ import annotations

from typing import Final

import msgspec

from lockgate.app.api.arrival import Header
from lockgate.core.exchange import Exchange, Outcome
from lockgate.core.money import usd

OUTCOMES: Final[dict[Outcome, Header]] = {
    outcome: (b"x-lockgate-outcome", outcome.value.encode()) for outcome in Outcome
}


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

    def headers(self, *, cost_known: bool = True) -> tuple[Header, ...]:
        """Tell the facts in headers; a stream's cost is not known while it begins."""
        headers = [OUTCOMES[self.outcome]]
        if self.confidence is not None:
            headers.append((b"x-lockgate-confidence", b"%.4f" % self.confidence))
        if cost_known:
            headers.append((b"x-lockgate-cost-usd", self.cost_usd.encode()))
        if self.rung is not None:
            headers.append((b"x-lockgate-rung", self.rung.encode()))
        return tuple(headers)


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
