"""Whichever effect fails, and wherever a caller leaves, the path keeps its promises."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from lockgate.core.clock import Clock
from lockgate.core.errors import BackendGone, InvalidCall, LockgateError, Overloaded
from lockgate.core.exchange import Exchange
from lockgate.request.path import BACK, TOWARDS, Path
from lockgate.request.record import Record
from lockgate.testing.builders import a_call, a_reply
from lockgate.testing.fakes import FakeClock, FakeRecorder

pytestmark = pytest.mark.anyio


class Step:
    """A stage that holds something, and at the k-th step of the run fails."""

    def __init__(self, name: str, run: Run) -> None:
        self.name = name
        self._run = run

    async def __call__(self, exchange: Exchange) -> Exchange:
        """Hold a lease; let others run; maybe fail; answer if this is the cascade."""
        self._run.held += 1
        exchange.leases.hold(self._run.give_back)
        await asyncio.sleep(0)
        self._run.count()
        if self.name == "cascade":
            return Exchange(
                call=exchange.call,
                answer=a_reply(),
                trail=exchange.trail,
                leases=exchange.leases,
                tally=exchange.tally,
            )
        return exchange


class Run:
    """One run over the path, failing at its k-th step with *error*."""

    def __init__(self, k: int, error: Exception) -> None:
        self.k, self.error = k, error
        self.steps = self.held = 0
        self.recorder = FakeRecorder()

    def count(self) -> None:
        """Count a step; fail if it is the k-th."""
        self.steps += 1
        if self.steps == self.k:
            raise self.error

    def give_back(self) -> None:
        """Take a lease back."""
        self.held -= 1

    def path(self, clock: Clock) -> Path:
        """Build a path of steps under their real names."""
        return Path(
            towards=[Step(name, self) for name in TOWARDS],
            back=[Step(name, self) for name in BACK],
            record=Record((self.recorder,), clock),
            clock=clock,
        )


@pytest.mark.parametrize(
    "error",
    [
        InvalidCall("no"),
        Overloaded("full"),
        BackendGone("gone"),
        LockgateError("other"),
        ZeroDivisionError(),
    ],
)
async def test_fail_the_kth_step(error: Exception) -> None:
    """Every lease comes back, there is one record, and the failure is on the exchange."""
    k = 0
    for k in count(1):
        run = Run(k, error)
        path = run.path(FakeClock())

        exchange = await path.carry(a_call())
        path.record(exchange, 200)
        path.close(exchange)

        assert run.held == 0
        assert len(run.recorder.entries) == 1
        assert (exchange.answer is None) == (run.steps >= k)
        if run.steps < k:
            break
    assert k == len(TOWARDS) + len(BACK) + 1


async def test_leave_at_the_kth_step() -> None:
    """A caller who hangs up anywhere leaves one record and no lease behind."""
    k = 0
    for k in count(1):
        run = Run(10**6, ZeroDivisionError())
        task = asyncio.create_task(run.path(FakeClock()).carry(a_call()))
        for _ in range(k):
            await asyncio.sleep(0)
        if task.done():
            break
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert run.held == 0
        assert [entry.status for entry in run.recorder.entries] == [499]
    assert k > len(TOWARDS)


async def test_a_lease_that_cannot_be_given_back_does_not_keep_the_others() -> None:
    """Every return runs, even if one of them raises."""
    given: list[str] = []
    exchange = Exchange(call=a_call())

    def broken() -> None:
        raise OSError("broken")

    exchange.leases.hold(lambda: given.append("first"))
    exchange.leases.hold(broken)
    exchange.leases.hold(lambda: given.append("last"))

    with pytest.raises(OSError, match="broken"):
        exchange.leases.release()

    assert given == ["last", "first"]
