"""Places are never given out twice, never lost, and waiting ends at the deadline."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.core.errors import DeadlineExceeded, Overloaded
from lockgate.request.places import Places

pytestmark = pytest.mark.anyio


def _soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


async def test_the_first_in_the_queue_gets_the_next_place() -> None:
    """First come, first served."""
    places = Places("s", limit=1, queue=2)
    await places.take(_soon())
    order: list[str] = []

    async def wait(name: str) -> None:
        await places.take(_soon())
        order.append(name)
        places.give_back()

    first, second = asyncio.create_task(wait("first")), asyncio.create_task(wait("second"))
    await asyncio.sleep(0)
    places.give_back()
    await asyncio.wait_for(asyncio.gather(first, second), 5)

    assert order == ["first", "second"]


async def test_a_full_queue_says_so_at_once() -> None:
    """The caller is told to come back instead of waiting for nothing."""
    places = Places("s", limit=1, queue=0)
    await places.take(_soon())

    with pytest.raises(Overloaded) as told:
        await places.take(_soon())

    assert told.value.retry_after_s is not None


async def test_waiting_ends_at_the_deadline_and_leaves_the_queue() -> None:
    """A caller whose time is up holds no place in the queue."""
    places = Places("s", limit=1, queue=1)
    await places.take(_soon())

    with pytest.raises(DeadlineExceeded):
        await places.take(_soon(0.01))
    with pytest.raises(DeadlineExceeded):
        await places.take(_soon(0.01))


@settings(max_examples=150, deadline=None)
@given(
    limit=st.integers(1, 3),
    moves=st.lists(st.sampled_from(["take", "give", "cancel", "yield"]), max_size=40),
)
async def test_whatever_happens_exactly_the_limit_is_there_at_the_end(
    limit: int, moves: list[str]
) -> None:
    """Takes, returns and cancellations in any order neither lose nor invent a place."""
    places = Places("s", limit=limit, queue=50)
    tasks: list[asyncio.Task[None]] = []
    for move in moves:
        if move == "take":
            tasks.append(asyncio.create_task(places.take(_soon(60))))
        elif move == "cancel" and tasks:
            tasks[-1].cancel()
        elif move == "give":
            done = [task for task in tasks if task.done() and not task.cancelled()]
            if done:
                tasks.remove(done[0])
                places.give_back()
        else:
            await asyncio.sleep(0)
        held = sum(task.done() and not task.cancelled() for task in tasks)
        assert held <= limit
    for task in tasks:
        if not task.done():
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled():
            places.give_back()

    assert [places.take_now() for _ in range(limit + 1)] == [True] * limit + [False]
