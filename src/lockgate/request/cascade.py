"""Ask the targets in turn until one gives an answer that is good enough.

Place   last on the way towards an answer
Reads   exchange.plan
Writes  what each attempt writes; exchange.outcome when one was accepted
Leaves  a call that was not admitted, and everything below the targets, to degrade
"""

from __future__ import annotations

from typing import Final

import msgspec

from lockgate.core.clock import Clock
from lockgate.core.exchange import Exchange, Outcome
from lockgate.request.call import RESERVE_S, Caller, is_final

NAME: Final = "cascade"


class Cascade:
    """Go down the plan."""

    name = NAME

    def __init__(self, caller: Caller, clock: Clock) -> None:
        self._caller = caller
        self._clock = clock

    async def __call__(self, exchange: Exchange) -> Exchange:
        """Try target after target while there is time; the last failure stays on the exchange.

        A target that finds the input at fault ends it: nobody else is asked, unless it is only
        too long for that one.
        """
        if exchange.failure is not None:
            return exchange
        for name in exchange.plan:
            exchange = await self._caller.attempt(exchange, name)
            if exchange.answer is not None:
                return msgspec.structs.replace(exchange, outcome=Outcome.ANSWERED)
            if is_final(exchange.failure):
                break
            if self._clock.monotonic() >= exchange.call.deadline - RESERVE_S:
                break
        return exchange
