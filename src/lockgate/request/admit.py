"""Let a call in, or say at once why not.

Place   first
Reads   exchange.call: the caller, the deadline
Writes  exchange.leases: one place among the calls in flight; exchange.failure when the service is
        full and its ladder says what to do then
Leaves  who the caller is: the API has established that before it read the body
"""

from __future__ import annotations

from typing import Final

import msgspec

from lockgate.core.errors import DeadlineExceeded, NotAllowed, Overloaded, StoreError
from lockgate.core.exchange import Exchange
from lockgate.request.places import Places
from lockgate.request.record import Record

NAME: Final = "admit"


class Admit:
    """Check that the caller may, and take a place."""

    name = NAME

    def __init__(self, places: Places, record: Record, *, degrades_on_overload: bool) -> None:
        self._places = places
        self._record = record
        self._degrades = degrades_on_overload

    async def __call__(self, exchange: Exchange) -> Exchange:
        """Admit the call.

        Raises:
            NotAllowed: The key is not for this service.
            Overloaded: No place, no room in the queue, and no rung for it.
            DeadlineExceeded: No place in time, and no rung for it.
            StoreError: Calls cannot be recorded just now, so none is paid for.
        """
        call = exchange.call
        if call.caller.services and call.service not in call.caller.services:
            raise NotAllowed(
                f"key '{call.caller.key_id}' may not use '{call.service}'", param="model"
            )
        if self._record.failing:
            raise StoreError("calls cannot be recorded just now")
        try:
            if not self._places.take_now():
                await self._places.take(call.deadline)
        except (Overloaded, DeadlineExceeded) as error:
            if not self._degrades:
                raise
            return msgspec.structs.replace(exchange, failure=error).noted(NAME, error.code)
        exchange.leases.hold(self._places.give_back)
        return exchange
