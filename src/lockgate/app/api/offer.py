"""What the front door is given: the services it offers, and what it asks of the rest of the house.

`assemble.py` fills these in; the surfaces read them and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from lockgate.core.clock import Clock, Ids
from lockgate.core.exchange import Call, Exchange
from lockgate.core.ports import Identify


class Path(Protocol):
    """Carries the calls of one service (`lockgate.request.path.Path`)."""

    async def carry(self, call: Call) -> Exchange:
        """Run the stages. What went wrong is in `exchange.failure`, with `exchange.outcome` set.

        Cancelled, it records and gives everything back by itself, and lets the cancellation pass.
        """
        ...

    def record(self, exchange: Exchange, status: int) -> None:
        """Write the call's one journal line; call it before the response's last byte.

        Raises:
            StoreError: It could not be kept, so the answer must not be given either.
        """
        ...

    def close(self, exchange: Exchange) -> None:
        """Give back what the call holds; record it as abandoned if it was not recorded."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """Name, datatype and shape of a tensor; -1 for a size that may vary (Open Inference V2)."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What a model takes and gives, as Open Inference clients ask for it."""

    platform: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


async def always_ready() -> bool:
    """Say yes, for services whose readiness is nobody's business but the process's own."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One service as the front door knows it.

    Attributes:
        body_limit: Largest request body, bytes.
        deadline_s: How long a call may take; a caller may ask for less, never for more.
        created: Seconds since 1970 UTC at which its release was made.
        release: Digest of the release that is live.
        metadata: Describes its tensors; None if it cannot take tensors.
        ready: Says whether calls would be answered now, without a paid call.
    """

    name: str
    kind: Literal["chat", "predict"]
    path: Path
    body_limit: int
    deadline_s: float
    created: int = 0
    release: str = ""
    purpose: str = ""
    metadata: Callable[[], Awaitable[Metadata]] | None = None
    ready: Callable[[], Awaitable[bool]] = always_ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at to know whether calls would be answered, and what was found.

    Attributes:
        vital: Without it calls are not answered; otherwise they are, and it is only said.
    """

    name: str
    ok: bool
    detail: str = ""
    vital: bool = True


def ignore(code: str) -> None:
    """Let a code pass unnoticed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """Everything the front door needs.

    Attributes:
        checks: Looks whether calls could be answered now: one real read, never a paid call.
        metrics: Writes the metrics of all workers in Prometheus' text format.
        body_limit: The largest body that any service takes, bytes; all that is known of a limit
            before the body has told the service's name.
        turned_away: Told the error's code when a request ends before it became a call.
    """

    offers: Mapping[str, Offer]
    identify: Identify
    clock: Clock
    ids: Ids
    checks: Callable[[], Awaitable[tuple[Check, ...]]]
    metrics: Callable[[], bytes]
    turned_away: Callable[[str], None] = ignore

    body_limit: int = field(init=False)

    def __post_init__(self) -> None:
        largest = max((offer.body_limit for offer in self.offers.values()), default=0)
        object.__setattr__(self, "body_limit", largest)
