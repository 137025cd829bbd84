"""A few threads for work that blocks; a thread that never comes back keeps its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

PLACES: Final = 4
"""Blocking calls that one runner has going at once."""
_T = TypeVar("_T")


class Threads:
    """Runs blocking functions, at most *places* at once; the others wait."""

    def __init__(self, places: int = PLACES) -> None:
        self._places = asyncio.Semaphore(places)
        self._pool = ThreadPoolExecutor(places, thread_name_prefix="model")
        self.busy = 0

    async def run(self, function: Callable[..., _T], *args: object) -> _T:
        """Run *function*, which must not raise `StopIteration`, in a thread.

        A cancelled run still ends only when the thread has: nothing can stop it, so its place
        stays taken.
        """
        await self._places.acquire()
        self.busy += 1
        work = asyncio.get_running_loop().run_in_executor(self._pool, function, *args)
        work.add_done_callback(self._free)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise

    def close(self) -> None:
        """Take no more work; threads that still work are left to it."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _free(self, work: asyncio.Future[_T]) -> None:
        self.busy -= 1
        self._places.release()
        if not work.cancelled():
            work.exception()  # seen, so that an abandoned failure is not reported a second time
