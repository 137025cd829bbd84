"""The generation: one number that grows with every change of what is live, and who notices.

SQLite is asked for its `data_version` (no lock, no write) every 50 ms; Postgres sends a
notification. Both on a thread of their own: a frozen database delays news, never a call.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

from lockgate.core.errors import StoreError
from lockgate.store.address import Address, Plain

BUMP = "UPDATE generation SET number = number + 1"
CHANNEL = "lockgate_generation"
NOTIFY = f"NOTIFY {CHANNEL}"
_READ = "SELECT number FROM generation"

_POLL_S = 0.05
_LISTEN_S = 0.25
_REREAD_S = 10.0  # a pooler between us and Postgres may swallow notifications
_BACK_OFF_S = (0.05, 0.1, 0.25, 0.5, 1.0)


class Generation:
    """Reads, bumps and watches the number of the database at an address."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def read(self) -> int:
        """Read the number; may block.

        Raises:
            StoreError: The database cannot be read.
        """
        return int(self._address.query(_READ)[0][0])

    def bump(self) -> None:
        """Tell every worker of every node that something changed; may block.

        Raises:
            StoreError: The database cannot be written.
        """
        plain = self._address.connect()
        try:
            with self._address.translated():
                plain.execute(BUMP)
                if not self._address.is_sqlite:
                    plain.execute(NOTIFY)
        finally:
            plain.close()

    async def watch(self, changed: Callable[[int], object]) -> None:
        """Call *changed* with each new number, the first included, until cancelled.

        *changed* runs on the watching thread and may block; a `StoreError` gets it called again.
        """
        watcher = _Watcher(self._address, changed)
        thread = threading.Thread(target=watcher.run, name="generation", daemon=True)
        thread.start()
        try:
            await asyncio.Event().wait()
        finally:
            watcher.stopped.set()


class _Watcher:
    """One watching thread: connects, waits for news, and starts over when the line is cut."""

    def __init__(self, address: Address, changed: Callable[[int], object]) -> None:
        self.stopped = threading.Event()
        self._address = address
        self._changed = changed
        self._seen: int | None = None
        self._failures = 0

    def run(self) -> None:
        while not self.stopped.is_set():
            with suppress(StoreError):
                self._session()
            step = min(self._failures, len(_BACK_OFF_S) - 1)
            self._failures += 1
            self.stopped.wait(_BACK_OFF_S[step])

    def _session(self) -> None:
        plain = self._address.connect()
        try:
            with self._address.translated():
                wait = self._polling(plain) if self._address.is_sqlite else self._listening(plain)
                while not self.stopped.is_set():
                    self._look(plain)
                    self._failures = 0
                    wait()
        finally:
            plain.close()

    def _look(self, plain: Plain) -> None:
        row = plain.execute(_READ).fetchone()
        if row is not None and row[0] != self._seen:
            self._changed(int(row[0]))
            self._seen = int(row[0])

    def _polling(self, plain: Plain) -> Callable[[], None]:
        """Wait until another connection has changed SQLite's file."""

        def version() -> object:
            return plain.execute("PRAGMA data_version").fetchone()

        known = version()

        def wait() -> None:
            nonlocal known
            while not self.stopped.wait(_POLL_S):
                if (now := version()) != known:
                    known = now
                    return

        return wait

    def _listening(self, plain: Plain) -> Callable[[], None]:
        """Wait until Postgres notifies, or long enough to look anyway."""
        plain.execute(f"LISTEN {CHANNEL}")
        notifies = cast("Any", plain).notifies

        def wait() -> None:
            for _ in range(int(_REREAD_S / _LISTEN_S)):
                if self.stopped.is_set() or list(notifies(timeout=_LISTEN_S, stop_after=1)):
                    return

        return wait
