"""One real read of the database, for readiness, in no more time than it may take."""

from __future__ import annotations

import asyncio
import threading
from contextlib import closing

from lockgate.core.errors import StoreError
from lockgate.store.address import Address

_READ = "SELECT number FROM generation"


class Ping:
    """Reads one row within a time; a database that hangs costs one thread, not one per ask."""

    def __init__(self, address: Address, *, within_s: float = 1.0) -> None:
        self._address = address
        self._within_s = within_s
        self._asking: _Question | None = None

    async def __call__(self) -> None:
        """Read one row.

        Raises:
            StoreError: It did not work, or not in time. Strangers may read what it says; which
                database it is, and what the driver says, is in its cause only.
        """
        if self._asking is None or self._asking.answered:
            self._asking = _Question(self._address)
        question = self._asking
        waiter = question.waiter(asyncio.get_running_loop())
        try:
            await asyncio.wait_for(waiter, self._within_s)
        except TimeoutError as error:
            error.add_note(self._address.shown)
            raise StoreError(f"the database did not answer within {self._within_s:g} s") from error
        if question.failure is not None:
            raise StoreError("the database cannot be read") from question.failure


class _Question:
    """One read under way on a thread of its own, and who waits for it."""

    def __init__(self, address: Address) -> None:
        self.failure: StoreError | None = None
        self.answered = False
        self._address = address
        self._guard = threading.Lock()
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        threading.Thread(target=self._ask, name="ping", daemon=True).start()

    def waiter(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[None]:
        """Give a future that is done when the answer is there."""
        future: asyncio.Future[None] = loop.create_future()
        with self._guard:
            if self.answered:
                future.set_result(None)
            else:
                self._waiters.append((loop, future))
        return future

    def _ask(self) -> None:
        try:
            with self._address.translated(), closing(self._address.connect()) as plain:
                plain.execute(_READ).fetchone()
        except StoreError as error:
            self.failure = error
        finally:
            self._wake()

    def _wake(self) -> None:
        with self._guard:
            self.answered = True
            waiters, self._waiters = self._waiters, []
        for loop, future in waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, future)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
