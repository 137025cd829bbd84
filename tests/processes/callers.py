"""Callers for the crash tests: they keep what they were told, and never wait for ever."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

import msgspec

from lockgate.ai.models.wire import Origin, Wire
from lockgate.core.errors import BackendError
from lockgate.core.money import pico
from lockgate.store.ledger import Ledger
from lockgate.testing.server import Served

PATIENCE_S = 20.0


@dataclass
class Callers:
    """Call a service from many tasks at once until told to stop.

    Attributes:
        answered: Cost in pico-dollars by request id, for every call that got a whole answer.
        cut: Calls whose connection ended without one.
        late: Calls that took longer than *deadline_s* and the slack of a busy machine.
    """

    server: Served
    path: bytes
    body: Callable[[int], bytes]
    deadline_s: float
    answered: dict[str, int] = field(default_factory=dict[str, int])
    outcomes: dict[str, str] = field(default_factory=dict[str, str])
    cut: int = 0
    late: list[float] = field(default_factory=list[float])
    statuses: dict[int, int] = field(default_factory=dict[int, int])
    stopped: bool = False

    async def run(self, tasks: int) -> None:
        """Call from *tasks* tasks until `stopped`."""
        headers = {"Authorization": f"Bearer {self.server.key}"}
        wire = Wire(
            Origin.parse(self.server.url), headers=headers, limit=tasks, connect_timeout=5.0
        )
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(tasks):
                    group.create_task(self._repeat(wire, number))
        finally:
            await wire.close()

    async def _repeat(self, wire: Wire, number: int) -> None:
        count = number * 1_000_000
        while not self.stopped:
            count += 1
            await self._call(wire, self.body(count))

    async def _call(self, wire: Wire, body: bytes) -> None:
        began = time.monotonic()
        try:
            response = await wire.post(self.path, body, deadline=began + PATIENCE_S)
        except BackendError:
            self.cut += 1
            await asyncio.sleep(0.01)
        else:
            name = response.headers[b"x-request-id"].decode()
            assert name not in self.answered, "a request id was given twice"
            cost = Decimal(response.headers.get(b"x-lockgate-cost-usd", b"0").decode())
            self.answered[name] = pico(cost)
            self.outcomes[name] = response.headers[b"x-lockgate-outcome"].decode()
            self.statuses[response.status] = self.statuses.get(response.status, 0) + 1
            msgspec.json.decode(response.body)
        if time.monotonic() - began > self.deadline_s + 5.0:
            self.late.append(time.monotonic() - began)


def unrecorded(callers: Callers, within_s: float = 20.0) -> list[str]:
    """List answered calls that the ledger does not hold as they were told, once it had time."""
    ledger = Ledger(callers.server.store)
    left = dict(callers.answered)
    until = time.monotonic() + within_s
    while left and time.monotonic() < until:
        for name in list(left):
            entry = ledger.call(name)
            if entry is not None:
                if (entry.cost, entry.outcome) != (left[name], callers.outcomes[name]):
                    return [f"{name}: told {left[name]}, recorded {entry.cost} {entry.outcome}"]
                del left[name]
        time.sleep(0.1)
    return sorted(left)
