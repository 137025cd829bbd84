"""A few threads for work that blocks; a thread that never comes back keeps its place.

Work is lost while it goes on although nobody waits for its result: its deadline has passed, or its
caller has left. Nothing can stop it, and it may still end by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

from lockgate.core.errors import BackendBusy

PLACES: Final = 4
"""Blocking calls that one runner has going at once."""
_T = TypeVar("_T")


class Threads:
    """Runs blocking functions, at most *places* at once; the others wait.

    Attributes:
        busy: Places that are taken.
        within: Tasks that wait for a place, or for the work that has one.
    """

    def __init__(self, places: int = PLACES) -> None:
        self.busy = 0
        self.within: set[asyncio.Task[Any]] = set()
        self._count = places
        self._places = asyncio.Semaphore(places)
        self._pool = ThreadPoolExecutor(places, thread_name_prefix="model")
        self._lost: set[asyncio.Future[Any]] = set()
        self._all_lost = asyncio.Event()
        self._one_back = asyncio.Event()

    async def run(self, function: Callable[..., _T], *args: object) -> _T:
        """Run *function*, which must not raise `StopIteration`, in a thread.

        A cancelled run still ends only when the thread has: nothing can stop it, so its place
        stays taken.
        """
        with self._being_within() as task:
            await self._places.acquire()
            self.busy += 1
            work = asyncio.get_running_loop().run_in_executor(self._pool, function, *args)
            work.add_done_callback(self._free)
            if task.cancelling():  # it only tidies up behind what was given up
                self._lose(work)
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                self._lose(work)
                await _end_of(work)
                raise

    def refuse_if_all_lost(self) -> None:
        """Do nothing as long as a place is free, or may be expected to be.

        Raises:
            BackendBusy: Every place is taken by work that nobody waits for any more.
        """
        if self._all_lost.is_set():
            raise BackendBusy(f"no thread is free: {len(self._lost)} calls have not come back")

    async def until_all_lost(self, patience: float) -> int:
        """Return once every place has been lost for *patience* seconds; give how many they are."""
        while True:
            await self._all_lost.wait()
            self._one_back.clear()
            try:
                await asyncio.wait_for(self._one_back.wait(), patience)
            except TimeoutError:
                return len(self._lost)

    def close(self) -> None:
        """Take no more work; threads that still work are left to it."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    @contextmanager
    def _being_within(self) -> Generator[asyncio.Task[Any]]:
        task = asyncio.current_task()
        assert task is not None
        self.within.add(task)
        try:
            yield task
        finally:
            self.within.discard(task)

    def _lose(self, work: asyncio.Future[Any]) -> None:
        if work.done():
            return
        self._lost.add(work)
        if len(self._lost) == self._count:
            self._all_lost.set()

    def _free(self, work: asyncio.Future[Any]) -> None:
        self.busy -= 1
        self._places.release()
        self._lost.discard(work)
        self._all_lost.clear()
        self._one_back.set()
        if not work.cancelled():
            work.exception()  # seen, so that an abandoned failure is not reported a second time


async def _end_of(work: asyncio.Future[Any]) -> None:
    """Wait for it, also when cancelled again: at a deadline both ends of a line give a call up."""
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([work])
