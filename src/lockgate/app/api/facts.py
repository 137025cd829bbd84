"""The facts of an answer that every protocol carries: in headers, and in a `lockgate` object."""

from __future__ import annotations

from typing import Final

from lockgate.app.api.arrival import Header
from lockgate.core.exchange import Exchange, Outcome
from lockgate.core.money import usd
from lockgate.core.payload import Json

OUTCOMES: Final[dict[Outcome, Header]] = {
    outcome: (b"x-lockgate-outcome", outcome.value.encode()) for outcome in Outcome
}


def outcome_of(exchange: Exchange) -> Outcome:
    """Give the outcome; an exchange that nobody gave one has failed."""
    return exchange.outcome or Outcome.FAILED


def confidence_of(exchange: Exchange) -> float | None:
    """Give the answer's confidence, that of a stream once it is over."""
    if exchange.tally.confidence is not None:
        return exchange.tally.confidence
    return None if exchange.answer is None else exchange.answer.confidence


def fact_headers(exchange: Exchange, *, cost_known: bool = True) -> tuple[Header, ...]:
    """Tell the facts in headers; a stream's cost is not known while it begins."""
    headers = [OUTCOMES[outcome_of(exchange)]]
    confidence = confidence_of(exchange)
    if confidence is not None:
        headers.append((b"x-lockgate-confidence", b"%.4f" % confidence))
    if cost_known:
        headers.append((b"x-lockgate-cost-usd", cost_of(exchange).encode()))
    if exchange.rung:
        headers.append((b"x-lockgate-rung", exchange.rung.encode()))
    return tuple(headers)


def fact_object(exchange: Exchange) -> dict[str, Json]:
    """Tell the facts as the `lockgate` object of a JSON body."""
    return {
        "outcome": outcome_of(exchange),
        "confidence": confidence_of(exchange),
        "cost_usd": cost_of(exchange),
        "rung": exchange.rung or None,
        "target": None if exchange.answer is None else exchange.answer.target,
        "request_id": exchange.call.id,
    }


def cost_of(exchange: Exchange) -> str:
    """Give the cost so far in US dollars, as decimal text."""
    cost = exchange.cost
    return usd(cost) if cost else "0"
